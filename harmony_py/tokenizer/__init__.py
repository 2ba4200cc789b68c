"""Text to ids and back. Knows no messages."""

from harmony_py._rust import IncrementalEncoder
from harmony_py.tokenizer.core import Segment, Tokenizer
from harmony_py.tokenizer.stream import StreamDecoder

__all__ = ["IncrementalEncoder", "Segment", "StreamDecoder", "Tokenizer"]
