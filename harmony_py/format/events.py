"""The small tuples that parsing hands out: events, spans and diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from harmony_py.chat.messages import Message
    from harmony_py.format.header import Header

Part = Literal["header", "content", "terminator", "noise"]


class Span(NamedTuple):
    """A run of tokens and what it is. The spans of a parse partition its tokens."""

    start: int
    end: int
    """Exclusive."""
    part: Part
    message: int | None
    """Index of the message it belongs to. Noise and a header still open belong to none."""


class Diagnostic(NamedTuple):
    """One repair, or one thing worth a second look: what, where, and the particulars."""

    code: str
    """One of `CODES`."""
    token_index: int
    span: tuple[int, int]
    """The tokens concerned, end exclusive."""
    detail: str


class MessageStart(NamedTuple):
    """A header is complete. The deltas that follow belong to its author, channel and recipient."""

    message_index: int
    header: Header


class ContentDelta(NamedTuple):
    """Text that was completed; in a message with a recipient, a piece of the call's arguments."""

    message_index: int
    text: str


class MessageEnd(NamedTuple):
    """A message is complete: all its text has been handed out before."""

    message_index: int
    message: Message


Event: TypeAlias = "MessageStart | ContentDelta | MessageEnd | Diagnostic"

CODES: dict[str, str] = {
    "bare_recipient": "a recipient without `to=`, or one known only by the tools' names",
    "control_in_content": "a control token inside content; its spelling stays in the text",
    "end_of_text": "`<|endoftext|>` ended a message",
    "hallucinated_tool_result": "a completion holds a message from a tool, which no model can write",
    "invalid_token": "an id that no token has; in text it is U+FFFD",
    "misspelt_channel": "a channel name close to a known one",
    "missing_channel": "a channel marker without a channel",
    "missing_end": "the next message began before this one had ended",
    "missing_header": "text without any header became a message without a channel",
    "missing_message": "a header without `<|message|>`; what followed its last field became the content",
    "missing_role": "a header without a role; the assistant's was taken",
    "missing_start": "a header without `<|start|>`",
    "noise": "tokens that belong to no message",
    "repeated_channel": "several channel markers; the last one that names a known channel counts",
    "repeated_recipient": "several recipients; the last one counts",
    "repeated_start": "a header begun again; what stood before is noise",
    "self_recipient": "the assistant addressed itself; taken for no recipient",
    "split_recipient": "a control token inside a recipient",
    "tool_name": "a recipient corrected to the one known tool it can mean",
    "undecodable_header": "a header that is not UTF-8; the invalid bytes are U+FFFD",
    "unusual_header": "a header whose fields stand in an odd order or with odd spaces",
    "unexpected_words": "words in a header that are no field of it",
    "unknown_role": "an author that is no role, taken for a tool's name",
}
"""Every diagnostic code and what it means."""
