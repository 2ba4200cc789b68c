"""The other side: a server's responses as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.wire.fields import Fields, blaming_server, check_json, served_error
from harmony_py.wire.responses.items import read_items
from harmony_py.wire.responses.output import ended
from harmony_py.wire.tools import NO_TOOLS
from harmony_py.wire.usage import Usage

if TYPE_CHECKING:
    from harmony_py.chat import Message
    from harmony_py.wire.tools import ToolNames

_READ: Final = {
    "message": ("role", "content", "phase"),
    "reasoning": ("content", "summary"),
    "function_call": ("call_id", "name", "arguments"),
    "web_search_call": ("action",),
    "code_interpreter_call": ("code", "outputs"),
    "mcp_call": ("server_label", "name", "arguments", "output", "error"),
}
"""What of each item makes a message. Servers send more."""

_READ_IN_PART: Final = ("type", "text", "refusal", "logs")

_WITH_TEXT: Final = ("message", "reasoning", "function_call", "code_interpreter_call", "mcp_call")
_DELTAS: Final = (
    "response.output_text.delta",
    "response.reasoning_text.delta",
    "response.function_call_arguments.delta",
    "response.code_interpreter_call_code.delta",
    "response.mcp_call_arguments.delta",
)
_TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed")


class Answer(NamedTuple):
    """What a server answered."""

    messages: list[Message]
    status: str | None
    """None if it did not say: the answer is cut short."""
    error: str | None
    """What went wrong on the server, if it says so."""
    usage: Usage | None


def read_response(response: object, tools: ToolNames = NO_TOOLS) -> Answer:
    """The messages of a response; `WireError` if it is none.

    Items of kinds that have no place in a conversation, and fields that only some servers send, are left
    alone.
    """
    with blaming_server():
        check_json(response)
        fields = Fields(response)
        error = fields.object("error")
        items = [(path, _trimmed(Fields(item, path))) for path, item in fields.array("output")]
        past = read_items([(path, item) for path, item in items if item], tools)
        status = fields.text("status")
        told = None if error is None else error.text("message") or ""
        return Answer(
            list(past.turns),
            status,
            told,
            Usage.read(fields.object("usage"), "input_tokens", "output_tokens"),
        )


class EventReader:
    """The events of a streamed response, put together."""

    def __init__(self, tools: ToolNames = NO_TOOLS) -> None:
        self._tools = tools
        self._items: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, list[str] | None] = {}  # of the items that are not done yet
        self._whole: Any = None

    def feed(self, event: object) -> None:
        """Take an event; `WireError` if it is none, or an error of the server's."""
        with blaming_server():
            check_json(event)
            fields = Fields(event)
            kind = fields.needed_text("type")
            if kind == "error":
                raise served_error(event)
            if kind in _TERMINAL:
                self._whole = fields.need("response")
            elif kind in ("response.output_item.added", "response.output_item.done"):
                index = fields.count("output_index")
                self._items[index] = fields.schema("item") or {}
                self._texts[index] = [] if kind.endswith("added") else None
            elif kind in _DELTAS:
                pieces = self._texts.get(fields.count("output_index"))
                if pieces is not None:
                    pieces.append(fields.text("delta") or "")

    def answer(self) -> Answer:
        """What has come so far: the response as the last event has it or, where the stream broke off, its
        items as far as they came."""
        if self._whole is not None:
            return read_response(self._whole, self._tools)
        return read_response({"output": [self._so_far(i) for i in sorted(self._items)]}, self._tools)

    def _so_far(self, index: int) -> dict[str, Any]:
        item, pieces = self._items[index], self._texts[index]
        with_text = pieces is not None and item.get("type") in _WITH_TEXT
        return ended(item, "".join(pieces or ()), "incomplete") if with_text else item


def _trimmed(item: Fields) -> dict[str, Any] | None:
    """An item without the fields that are not read; None if there is nothing to read in it."""
    kind = item.text("type") or ""
    if kind not in _READ:
        return None
    found = {name: item.take(name) for name in _READ[kind]}
    return {
        "type": kind,
        **{name: _trimmed_parts(value) for name, value in found.items() if value is not None},
    }


def _trimmed_parts(value: Any) -> Any:
    """The parts of a content or a summary, without the fields that are not read."""
    if not isinstance(value, list):
        return value
    return [
        {name: part[name] for name in _READ_IN_PART if name in part} if isinstance(part, dict) else part
        for part in value
    ]
