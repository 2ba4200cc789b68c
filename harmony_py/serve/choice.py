"""One answer as it comes: the engine's tokens parsed, and cut where the assistant's part ends."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat import Role
from harmony_py.format.events import MessageEnd, MessageStart
from harmony_py.serve.stops import Stops
from harmony_py.wire import Turn, Usage

if TYPE_CHECKING:
    from harmony_py.engines import Step
    from harmony_py.format.encoding import HarmonyEncoding
    from harmony_py.format.events import Event
    from harmony_py.format.parse import ParseResult
    from harmony_py.serve.runners import Asked
    from harmony_py.wire import Options, Stop
    from harmony_py.wire.logprobs import Entry


class Choice:
    """What one job of a request draws. Nothing of it is lost, however malformed it is.

    It is over when the engine says so, and behind a call; before a stop string; and where the model begins to
    speak for somebody else.
    """

    def __init__(self, index: int, asked: Asked, options: Options, encoding: HarmonyEncoding) -> None:
        self.index: Final = index
        self.stop: Stop = "stop"
        self.over = False
        self.reused = 0
        self.tokens: Final[list[int]] = []
        self._prompt: Final = len(asked.ids)
        self._encoding: Final = encoding
        self._tools: Final = options.tools.full()
        self._parser: Final = encoding.parser(Role.ASSISTANT, policy="recover", tools=self._tools)
        self._entries: Final[list[Entry] | None] = [] if options.logprobs else None
        self._stops: Final = Stops(options.stop, options.tools) if options.stop else None
        self._is_cut = False

    def take(self, step: Step) -> tuple[list[Event], Entry | None]:
        """What a token brings about, and its entry where log probabilities are wanted."""
        self.tokens.append(step.token)
        entry = None
        if self._entries is not None:
            entry = _entry(self._encoding, step)
            self._entries.append(entry)
        if step.finish is not None:
            self.end("stop" if step.finish == "stop" else "length")
        return self._shown(self._own(self._parser.feed(step.token))), entry

    def _own(self, events: list[Event]) -> list[Event]:
        """The events of the assistant's part."""
        for place, event in enumerate(events):
            if isinstance(event, MessageStart) and event.header.role is not Role.ASSISTANT:
                self._cut_before(event.message_index)
                return events[:place]
            if isinstance(event, MessageEnd) and event.message.is_tool_call:
                # However it ended, what comes next is for the tool to say.
                self.end("stop")
        return events

    def _shown(self, events: list[Event]) -> list[Event]:
        if self._stops is None:
            return events
        events = self._stops.feed(events)
        if self._stops.found:
            self.end("stop")
        return events

    def end(self, stop: Stop) -> None:
        """No more tokens come."""
        self.over, self.stop = True, stop

    def last_events(self) -> list[Event]:
        """What the end brings about."""
        return [] if self._is_cut else self._shown(self._parser.finish())

    @cached_property
    def parsed(self) -> ParseResult:
        """All of it, once it is over."""
        return self._encoding.parse(self.tokens, Role.ASSISTANT, policy="recover", tools=self._tools)

    def turn(self) -> Turn:
        self.last_events()  # where a stop string may come to light
        turn = Turn.of(self.parsed, self.stop, self._entries)
        return turn if self._stops is None else turn._replace(messages=self._stops.cut(turn.messages))

    def usage(self) -> Usage:
        return Usage.of(self._prompt, self.parsed, cached=self.reused)

    def _cut_before(self, message: int) -> None:
        spans = [span for span in self._parser.spans if span.message is not None and span.message < message]
        end = max((span.end for span in spans), default=0)
        del self.tokens[end:]
        if self._entries is not None:
            del self._entries[end:]
        self._is_cut = True
        self.end("stop")


def _entry(encoding: HarmonyEncoding, step: Any) -> Entry:
    """The log probabilities of a token and of the likeliest ones, as Chat Completions has them."""
    top = [_single(encoding, token, value) for token, value in step.top_logprobs]
    return {**_single(encoding, step.token, step.logprob), "top_logprobs": top}


def _single(encoding: HarmonyEncoding, token: int, logprob: float) -> Entry:
    spelled = encoding.tokenizer.decode_bytes([token])
    # JSON has no infinity; what cannot be drawn is as unlikely as numbers go.
    return {
        "token": spelled.decode("utf-8", "replace"),
        "logprob": max(logprob, -9999.0),
        "bytes": list(spelled),
    }
