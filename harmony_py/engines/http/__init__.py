"""Servers that complete raw prompts, spoken to over HTTP with the standard library."""

from harmony_py.engines.http.dialects import DIALECTS, Dialect, Piece
from harmony_py.engines.http.engine import HttpEngine
from harmony_py.engines.http.transport import Patience

__all__ = ["DIALECTS", "Dialect", "HttpEngine", "Patience", "Piece"]
