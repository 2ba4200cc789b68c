"""What the model wrote, sorted by whom it is for. Both APIs tell the same kinds apart."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple

from harmony_py.chat import Message, Role
from harmony_py.chat.messages import names_tool
from harmony_py.format.retention import ANALYSIS
from harmony_py.wire.history import COMMENTARY
from harmony_py.wire.logprobs import by_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.format.header import Header
    from harmony_py.format.parse import ParseResult
    from harmony_py.wire.logprobs import Entry
    from harmony_py.wire.tools import ToolNames

Stop = Literal["stop", "length", "content_filter"]
"""Why the engine stopped: by itself, be it at a stop token or a stop string; out of tokens; or cut off."""


class Kind(Enum):
    """Whom a message of the model's is for."""

    REASONING = "reasoning"
    """Thoughts: the channel `analysis`, to no tool."""
    PREAMBLE = "preamble"
    """Words to the user around tool calls: the channel `commentary`, to no tool."""
    ANSWER = "answer"
    """The answer, and text on no channel or an unknown one: what is not marked as thought is not hidden."""
    CALL = "call"
    """A call that the client shall answer, to whatever tool the model believes in."""
    BUILTIN = "builtin"
    """A call that the server answers."""
    FOREIGN = "foreign"
    """A message in another's name, such as a tool's result that the model made up."""


def kind_of(header: Header | Message, tools: ToolNames) -> Kind:
    """The kind of a message, by its header alone."""
    role = header.author.role if isinstance(header, Message) else header.role
    if role != Role.ASSISTANT:
        return Kind.FOREIGN
    if names_tool(header.recipient):
        return Kind.BUILTIN if tools.is_builtin(header.recipient or "") else Kind.CALL
    if header.channel == ANALYSIS:
        return Kind.REASONING
    return Kind.PREAMBLE if header.channel == COMMENTARY else Kind.ANSWER


class Turn(NamedTuple):
    """What the model wrote at one go: messages, and whether the last of them was cut off."""

    messages: Sequence[Message]
    stop: Stop = "stop"
    cut: bool = False
    logprobs: Sequence[Sequence[Entry]] | None = None
    """Of the tokens of each message's text, if they are wanted."""

    @classmethod
    def of(cls, result: ParseResult, stop: Stop = "stop", logprobs: Sequence[Entry] | None = None) -> Turn:
        """The turn that was parsed. `logprobs` has an entry for every token; see `wire.logprobs`."""
        told = None if logprobs is None else by_message(result.spans, logprobs, len(result.messages))
        return cls(result.messages, stop, stop != "stop" and _ends_open(result), told)


def _ends_open(result: ParseResult) -> bool:
    """Whether the last token is one of the last message, and does not end it."""
    last = result.spans[-1] if result.spans else None
    return last is not None and last.message == len(result.messages) - 1 and last.part != "terminator"
