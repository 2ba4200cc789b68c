"""Text to ids and back. Knows no messages."""

from harmony_py.tokenizer.core import Segment, Tokenizer

__all__ = ["Segment", "Tokenizer"]
