"""Stop strings: an answer ends before the one that is complete first; no piece of one is shown on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harmony_py.chat import TextContent
from harmony_py.errors import WireError
from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.wire.turn import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.chat import Message
    from harmony_py.format.events import Event
    from harmony_py.wire import ToolNames

MOST: Final = 16
LONGEST: Final = 256
"""Characters of one."""


def check_stops(stops: Sequence[str]) -> None:
    """`WireError` if they are too many, too long, or empty, which would stop everything."""
    if len(stops) > MOST or not all(0 < len(stop) <= LONGEST for stop in stops):
        expected = f"at most {MOST} strings of 1 to {LONGEST} characters"
        raise WireError(f"Invalid 'stop': expected {expected}.", "stop", "invalid_value")


class Stops:
    """Looks for stop strings in what a client is shown as content. Thoughts and calls are left alone."""

    def __init__(self, stops: Sequence[str], tools: ToolNames) -> None:
        self._stops: Final = tuple(stops)
        self._tools: Final = tools
        self._looks = False
        self._held = ""
        self._shown = 0
        self._place: tuple[int, int] | None = None

    @property
    def found(self) -> bool:
        return self._place is not None

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """The events as far as they may be shown now. What may be the beginning of a stop string waits."""
        shown: list[Event] = []
        for event in events:
            if self.found:
                break
            if isinstance(event, MessageStart):
                kind = kind_of(event.header, self._tools)
                self._looks = kind in (Kind.ANSWER, Kind.PREAMBLE)
                self._held, self._shown = "", 0
            if isinstance(event, ContentDelta) and self._looks:
                shown += self._delta(event)
                continue
            if isinstance(event, MessageEnd) and self._held:
                shown.append(ContentDelta(event.message_index, self._held))
                self._held = ""
            shown.append(event)
        return shown

    def cut(self, messages: Sequence[Message]) -> list[Message]:
        """The messages as they are shown, where a stop string was found."""
        if self._place is None:
            return list(messages)
        index, length = self._place
        last = messages[index].model_copy(
            update={"content": [TextContent(text=messages[index].text[:length])], "source": None}
        )
        return [*messages[:index], last]

    def _delta(self, event: ContentDelta) -> list[Event]:
        text = self._held + event.text
        # The one that is complete first, in whatever pieces the text comes.
        places = [(place + len(stop), place) for stop in self._stops if (place := text.find(stop)) >= 0]
        end = min(places)[1] if places else len(text) - self._begun(text)
        if places:
            self._place = event.message_index, self._shown + end
        self._held = text[end:]
        self._shown += end
        return [ContentDelta(event.message_index, text[:end])] if end else []

    def _begun(self, text: str) -> int:
        """How much of the end of `text` may be the beginning of a stop string."""
        longest = min(max(map(len, self._stops)) - 1, len(text))
        ends = (text[len(text) - size :] for size in range(longest, 0, -1))
        return next((len(end) for end in ends if any(stop.startswith(end) for stop in self._stops)), 0)
