"""A conversation as it happens: for people, who speaks in a column of its own; or JSON, one event a line."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from harmony_py.cli.terminal import (
    BOLD,
    CHANNEL_COLOURS,
    DIM,
    RED,
    RESET,
    harmless,
    in_colour,
    painted,
    write,
)
from harmony_py.engines.chat import Completed, ToolAnswered
from harmony_py.format.events import ContentDelta, Diagnostic, MessageEnd, MessageStart

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.engines.chat import ChatEvent
    from harmony_py.format.header import Header

COLUMN: Final = 10
"""Columns for who speaks."""

_CALL: Final = "call"
_COLOURS: Final = {
    "user": BOLD,
    "analysis": DIM + CHANNEL_COLOURS["analysis"],
    _CALL: BOLD + CHANNEL_COLOURS["commentary"],
    "tool": CHANNEL_COLOURS["commentary"],
    **{channel: colour for channel, colour in CHANNEL_COLOURS.items() if channel != "analysis"},
}

_WHY_IT_ENDED: Final = {
    "length": "cut off: as many tokens as were allowed",
    "context": "cut off: the context is full",
    "interrupted": "cut off: it began to speak for somebody else",
    "rounds": "no more calls in this turn",
}


class Transcript(Protocol):
    """Something that shows a conversation."""

    def said(self, text: str) -> None:
        """What the user said."""

    def event(self, event: ChatEvent) -> None:
        """What happened in the assistant's turn."""

    def stopped(self) -> None:
        """The user stopped it."""

    def failed(self, problem: str) -> None:
        """The turn came to an end by an error."""


class Shown:
    """For people. Shown with `thoughts`, or without; `figures` says what a completion took."""

    def __init__(self, *, thoughts: bool = True, figures: Callable[[Completed], str] | None = None) -> None:
        self.thoughts = thoughts
        self._figures = figures
        self._open = self._hidden = False
        self._later: list[str] = []

    def said(self, text: str) -> None:
        self._line("user", text)

    def event(self, event: ChatEvent) -> None:
        if isinstance(event, MessageStart):
            self._begin_message(event.header)
        elif isinstance(event, ContentDelta):
            self._text(event.text)
        elif isinstance(event, MessageEnd):
            self._end()
        elif isinstance(event, Diagnostic):
            detail = f": {event.detail}" if event.detail else ""
            self._note(f"mended at token {event.token_index}: {event.code}{detail}")
        elif isinstance(event, ToolAnswered):
            self._line("tool", event.text)
        elif isinstance(event, Completed):
            self._completed(event)

    def stopped(self) -> None:
        self._end()
        self._note("stopped; what came is kept")

    def failed(self, problem: str) -> None:
        self._end()
        self._line("error", problem, RED)

    def _begin_message(self, header: Header) -> None:
        self._hidden = header.channel == "analysis" and not header.recipient and not self.thoughts
        if not self._hidden:
            self._begin(_CALL if header.recipient else header.channel or "final")
            self._text(f"{header.recipient} " if header.recipient else "")

    def _completed(self, event: Completed) -> None:
        reason = _WHY_IT_ENDED.get(event.finish)
        told = [self._figures(event)] if self._figures else []
        for text in [reason, *told]:
            if text:
                self._note(text)

    def _begin(self, who: str, colour: str | None = None) -> None:
        self._open = True
        colour = _COLOURS.get(who, "") if colour is None else colour
        write(f"{colour if in_colour(sys.stdout) else ''}{who:<{COLUMN}}", end="")

    def _text(self, text: str) -> None:
        if not self._hidden:
            write(harmless(text).replace("\n", "\n" + " " * COLUMN), end="")
            sys.stdout.flush()

    def _end(self) -> None:
        if self._open:
            write(RESET if in_colour(sys.stdout) else "")
        self._open = self._hidden = False
        while self._later:
            self._note(self._later.pop(0))

    def _line(self, who: str, text: str, colour: str | None = None) -> None:
        self._begin(who, colour)
        self._text(text)
        self._end()

    def _note(self, text: str) -> None:
        """Something about the conversation, which waits for the end of a line that is open."""
        if self._open:
            self._later.append(text)
        else:
            write(" " * COLUMN + painted(harmless(text), DIM))
            sys.stdout.flush()


class Logged:
    """As JSON, an object a line: `event` names its kind in snake case, the rest are its fields."""

    def said(self, text: str) -> None:
        self._write("user", {"text": text})

    def event(self, event: ChatEvent) -> None:
        self._write(_SNAKE.sub("_", type(event).__name__).lower(), _plain(event))

    def stopped(self) -> None:
        self._write("stopped", {})

    def failed(self, problem: str) -> None:
        self._write("failed", {"error": problem})

    def _write(self, kind: str, fields: dict[str, Any]) -> None:
        write(json.dumps({"event": kind, **fields}, ensure_ascii=False))
        sys.stdout.flush()


_SNAKE: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def _plain(event: ChatEvent) -> dict[str, Any]:
    fields = event._asdict()
    if isinstance(event, MessageStart):
        fields["header"] = {**event.header._asdict(), "role": event.header.role.value}
    elif isinstance(event, MessageEnd):
        fields["message"] = event.message.to_dict()
    return fields
