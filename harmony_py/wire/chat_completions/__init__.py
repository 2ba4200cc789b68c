"""OpenAI's Chat Completions API: requests and answers, both directions."""

from harmony_py.wire.chat_completions.client import Answer, ChunkReader, read_completion
from harmony_py.wire.chat_completions.replies import Reply, completion
from harmony_py.wire.chat_completions.requests import read_request
from harmony_py.wire.chat_completions.stream import ChatStream
from harmony_py.wire.chat_completions.writing import write_request

__all__ = [
    "Answer",
    "ChatStream",
    "ChunkReader",
    "Reply",
    "completion",
    "read_completion",
    "read_request",
    "write_request",
]
