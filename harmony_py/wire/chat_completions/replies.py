"""What the model wrote, as a chat completion: all at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from harmony_py.wire.chat_completions.messages import REASONING_FIELDS
from harmony_py.wire.ids import NewId, random_id
from harmony_py.wire.tools import NO_TOOLS
from harmony_py.wire.turn import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.chat import Message
    from harmony_py.wire.logprobs import Entry
    from harmony_py.wire.options import Options
    from harmony_py.wire.tools import ToolNames
    from harmony_py.wire.turn import Stop, Turn
    from harmony_py.wire.usage import Usage

BREAK: Final = "\n\n"
"""Between messages that share a field: several thoughts, or a preamble and the answer."""


@dataclass(frozen=True)
class Reply:
    """What all choices of one answer, and all chunks of a stream, have in common."""

    id: str
    model: str
    created: int
    """In seconds since 1970. No clock is read here."""
    tools: ToolNames = NO_TOOLS
    new_id: NewId = random_id
    reasoning_fields: tuple[str, ...] = REASONING_FIELDS
    """The fields that carry the thoughts. Without any they are left out, as in the API itself, and so is what
    `preambles` puts with them."""
    preambles: Literal["content", "reasoning"] = "content"
    """Where words around tool calls go: `content`, or `reasoning` to put them with the thoughts, so that the
    content is the answer and nothing else."""
    include_usage: bool = False
    system_fingerprint: str | None = None

    @classmethod
    def to(cls, options: Options, *, reply_id: str, created: int, **more: Any) -> Reply:
        """The reply to a request. If it asked for a format, the content is the answer and nothing else."""
        reply = cls(reply_id, options.model, created, options.tools, include_usage=options.include_usage)
        if options.format is not None:
            more = {"preambles": "reasoning", **more}
        return dataclasses.replace(reply, **more)

    def fields_of(self, kind: Kind) -> tuple[str, ...]:
        """The fields that show text of a kind."""
        if kind is Kind.REASONING or (kind is Kind.PREAMBLE and self.preambles == "reasoning"):
            return self.reasoning_fields
        return ("content",) if kind in (Kind.PREAMBLE, Kind.ANSWER) else ()

    def shows(self, message: Message) -> bool:
        """Whether the message is part of the content."""
        return "content" in self.fields_of(kind_of(message, self.tools))

    def head(self, kind: str) -> dict[str, Any]:
        """The fields outside the choices; `kind` is the object's name."""
        found = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        if self.system_fingerprint is not None:
            found["system_fingerprint"] = self.system_fingerprint
        return found


def completion(reply: Reply, turns: Sequence[Turn], usage: Usage | None = None) -> dict[str, Any]:
    """The whole answer: a choice for each turn."""
    choices = [
        {
            "index": index,
            "message": message(reply, turn.messages),
            "finish_reason": finish_reason(turn.stop, _has_calls(turn.messages, reply.tools)),
            "logprobs": None if turn.logprobs is None else as_logprobs(_of_content(reply, turn)),
        }
        for index, turn in enumerate(turns)
    ]
    counted = {} if usage is None else {"usage": usage.for_chat()}
    return {**reply.head("chat.completion"), "choices": choices, **counted}


def as_logprobs(entries: list[Entry]) -> dict[str, Any]:
    return {"content": entries, "refusal": None}


def _of_content(reply: Reply, turn: Turn) -> list[Entry]:
    """The entries of the tokens that make the content: those that the API shows."""
    told = zip(turn.messages, turn.logprobs or (), strict=True)
    return [entry for each, entries in told if reply.shows(each) for entry in entries]


def message(reply: Reply, messages: Sequence[Message]) -> dict[str, Any]:
    """The one message that the API makes of a turn."""
    found: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls = []
    for each in messages:
        kind = kind_of(each, reply.tools)
        if kind is Kind.CALL:
            calls.append(_call(reply, each))
        for field in reply.fields_of(kind):
            if each.text or field == "content":
                found[field] = joined(found.get(field), each.text)
    return {**found, **({"tool_calls": calls} if calls else {})}


def joined(before: str | None, text: str) -> str:
    """Text of two messages in one field."""
    return before + BREAK + text if before and text else (before or "") + text


def _call(reply: Reply, message: Message) -> dict[str, Any]:
    """A call as the model wrote it, be its arguments JSON or not, whole or not."""
    name = reply.tools.to_client(message.recipient or "")
    return {
        "id": reply.new_id("call"),
        "type": "function",
        "function": {"name": name, "arguments": message.text},
    }


def _has_calls(messages: Sequence[Message], tools: ToolNames) -> bool:
    return any(kind_of(each, tools) is Kind.CALL for each in messages)


def finish_reason(stop: Stop, has_calls: bool) -> str:
    return "tool_calls" if stop == "stop" and has_calls else stop
