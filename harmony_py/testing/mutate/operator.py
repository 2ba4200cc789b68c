"""What an operator is, and what it works on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from harmony_py.format.parse import parse
from harmony_py.testing.implementation import Fields
from harmony_py.tokenizer.special import STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harmony_py.testing.tokens import Stream

_T = TypeVar("_T")


class Choose(Protocol):
    """Picks one of some options: `random.Random(seed).choice`, or a draw of hypothesis."""

    def __call__(self, options: Sequence[_T], /) -> _T: ...


class Place(NamedTuple):
    """A message of a well-formed stream: its fields, and where its header, content and terminator are."""

    fields: Fields
    start: int
    body: int
    end: int
    stop: int
    prompted: bool
    """It continues a prompt's `<|start|>` and role, which are not among the tokens."""
    tokens: tuple[int, ...]
    """Its own, from `start` to `stop`."""

    @property
    def content(self) -> list[int]:
        return list(self.tokens[self.body - self.start : self.end - self.start])

    @property
    def stop_tokens(self) -> list[int]:
        return list(self.tokens[self.end - self.start :])

    @property
    def is_assistant(self) -> bool:
        return self.fields.role == "assistant"

    @property
    def is_call(self) -> bool:
        return self.is_assistant and self.fields.recipient is not None

    @property
    def is_plain(self) -> bool:
        """The content can be taken for nothing but content, even without the header's end."""
        return _PLAIN.match(self.fields.text) is not None


_PLAIN: Final = re.compile(r"[A-ZÀ-ÖØ-ÞĀŁ{]")


def places(stream: Stream) -> list[Place]:
    """The messages of `stream`, which must be well formed: `ParseError` where it is not."""
    result = parse(stream.tokens, stream.role)
    found = []
    start = 0
    for i, message in enumerate(result.messages):
        spans = {span.part: span for span in result.spans if span.message == i}
        body = spans["header"].end
        end = spans["content"].end if "content" in spans else body
        stop = end + (stream.tokens[end : end + 1] != [] and stream.tokens[end] in STOP_TOKENS)
        prompted = i == 0 and stream.role is not None
        own = tuple(stream.tokens[start:stop])
        found.append(Place(Fields.of(message), start, body, end, stop, prompted, own))
        start = stop
    return found


class Edit(NamedTuple):
    """Tokens `start` to `end` of the original give way to `new`."""

    start: int
    end: int
    new: list[int]


class Draft(NamedTuple):
    """What one operator wants to do, and what it does to the meaning."""

    pattern: str
    what: str
    edits: list[Edit]
    becomes: dict[int, list[Fields]] = {}  # noqa: RUF012  # never changed
    """The messages that a message becomes, for those that do not stay what they were."""
    tools: tuple[str, ...] = ()
    """The tools that there are, where the meaning depends on them."""
    prompt: tuple[int, ...] = ()
    """The tokens before the first one, where they begin inside a message."""
    literal: bool = False
    """The grammar allows what it says now, which is not what was meant: only recovery can tell."""


class Done(NamedTuple):
    """One thing that was done."""

    pattern: str
    what: str
    span: tuple[int, int]
    """The tokens concerned, in the new stream, end exclusive; empty where some were only taken away."""
    original: tuple[int, int]
    """The tokens of the original that gave way."""
    literal: bool
    """The grammar allows what it says now, which is not what was meant: only recovery can tell."""


class Mutated(NamedTuple):
    """A malformed stream, what it was meant to be, and what was done to it."""

    tokens: list[int]
    role: str | None
    messages: tuple[Fields, ...]
    """What should still be found. Text that an operator put between messages is in none of them."""
    done: tuple[Done, ...]
    tools: tuple[str, ...] = ()
    prompt: tuple[int, ...] = ()


class Operator(NamedTuple):
    """One pattern."""

    pattern: str
    title: str
    codes: frozenset[str]
    """One of these diagnostics our own parser gives; none where the grammar allows what is odd."""
    fits: Callable[[list[Place], int], bool]
    """Whether it can be done to that message."""
    draft: Callable[[list[Place], int, Choose], Draft]
    whole: bool = False
    """It concerns the whole stream, so that nothing else can be done to it."""
