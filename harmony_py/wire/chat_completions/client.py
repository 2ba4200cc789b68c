"""The other side: requests to a server, and its answers as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from harmony_py.wire.chat_completions.messages import REASONING_FIELDS, read_assistant
from harmony_py.wire.fields import Fields, blaming_server, check_json, missing, served_error
from harmony_py.wire.history import Calls
from harmony_py.wire.tools import NO_TOOLS
from harmony_py.wire.usage import Usage

if TYPE_CHECKING:
    from harmony_py.chat import Message
    from harmony_py.wire.tools import ToolNames


class Answer(NamedTuple):
    """What a server answered."""

    messages: list[Message]
    finish_reason: str | None
    """None if it did not say: the answer is cut short."""
    usage: Usage | None


def read_completion(response: object, tools: ToolNames = NO_TOOLS, *, index: int = 0) -> Answer:
    """The messages of one choice of a chat completion; `WireError` if it is none, or a server's error.

    Fields that only some servers send are left alone.
    """
    with blaming_server():
        check_json(response)
        fields = _unless_error(response)
        for path, item in fields.array("choices"):
            choice = Fields(item, path)
            if choice.integer("index", 0, 2**31) in (index, None):
                message = choice.needed_object("message")
                usage = Usage.read(fields.object("usage"), "prompt_tokens", "completion_tokens")
                return Answer(_messages(message, tools), choice.text("finish_reason"), usage)
        raise missing(f"choices[{index}]")


class ChunkReader:
    """The chunks of a stream, put together for one choice."""

    def __init__(self, tools: ToolNames = NO_TOOLS, *, index: int = 0) -> None:
        self._tools = tools
        self._index = index
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish_reason: str | None = None
        self._usage: Usage | None = None

    def feed(self, chunk: object) -> None:
        """Take a chunk; `WireError` if it is none, or an error of the server's."""
        with blaming_server():
            check_json(chunk)
            fields = _unless_error(chunk)
            self._usage = (
                Usage.read(fields.object("usage"), "prompt_tokens", "completion_tokens") or self._usage
            )
            for path, item in fields.array("choices"):
                choice = Fields(item, path)
                if choice.integer("index", 0, 2**31) in (self._index, None):
                    self._finish_reason = choice.text("finish_reason") or self._finish_reason
                    delta = choice.object("delta")
                    if delta is not None:
                        self._take(delta)

    def answer(self) -> Answer:
        """What has come so far."""
        message: dict[str, Any] = {name: "".join(pieces) for name, pieces in self._texts.items()}
        if self._calls:
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
        with blaming_server():
            messages = _messages(Fields(message, "message"), self._tools)
        return Answer(messages, self._finish_reason, self._usage)

    def _take(self, delta: Fields) -> None:
        for name in ("content", "refusal", *REASONING_FIELDS):
            text = delta.text(name)
            if text is not None:
                self._texts.setdefault(name, []).append(text)
        for path, item in delta.array("tool_calls"):
            self._take_call(Fields(item, path))

    def _take_call(self, piece: Fields) -> None:
        """A piece of a call. Some servers give no index: then a new id begins a new call."""
        index, call_id = piece.integer("index", 0, 2**31), piece.text("id")
        last = max(self._calls, default=-1)
        if index is None:
            index = last + 1 if call_id or last < 0 else last
        call = self._calls.setdefault(index, {"function": {"name": "", "arguments": ""}})
        call["id"] = call_id or call.get("id")
        function = piece.object("function")
        if function is not None:
            whole = call["function"]
            whole["name"] = whole["name"] or function.text("name") or ""
            whole["arguments"] += function.text("arguments") or ""


def _unless_error(value: object) -> Fields:
    fields = Fields(value)
    error = fields.take("error")
    if error is not None:
        raise served_error(error)
    return fields


def _messages(message: Fields, tools: ToolNames) -> list[Message]:
    given = message.array("tool_calls")
    calls = [_whole_call(Fields(item, path), i) for i, (path, item) in enumerate(given)]
    whole = Fields({**message.rest(), **({"tool_calls": calls} if calls else {})}, message.path)
    return read_assistant(whole, Calls(tools))


def _whole_call(call: Fields, place: int) -> dict[str, Any]:
    """A call with the fields that servers are known to leave out."""
    function = call.needed_object("function")
    whole = {"name": function.needed_text("name"), "arguments": function.text("arguments") or ""}
    return {"id": call.text("id") or f"call_{place}", "type": "function", "function": whole}
