"""OpenAI's Responses API: requests and responses, both directions."""

from harmony_py.wire.responses.client import Answer, EventReader, read_response
from harmony_py.wire.responses.output import Reply, output, response
from harmony_py.wire.responses.requests import ResponsesRequest, read_request
from harmony_py.wire.responses.store import MemoryStore, Past, Store
from harmony_py.wire.responses.stream import ResponseStream
from harmony_py.wire.responses.writing import write_request

__all__ = [
    "Answer",
    "EventReader",
    "MemoryStore",
    "Past",
    "Reply",
    "ResponseStream",
    "ResponsesRequest",
    "Store",
    "output",
    "read_request",
    "read_response",
    "response",
    "write_request",
]
