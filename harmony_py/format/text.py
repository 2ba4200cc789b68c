"""The parser for engines that hand back strings instead of tokens.

In a string, structure and text that is spelled like it look the same: what a model quotes can become a
message. Parse tokens where there are any. Here is what can be done where there are none, or where the model
itself spells its control tokens with ordinary ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from harmony_py.format.grammar import CHANNELS
from harmony_py.format.parse import ParseResult, StreamableParser
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import (
    CALL,
    CHANNEL,
    CONSTRAIN,
    END,
    END_OF_TEXT,
    MESSAGE,
    RETURN,
    SPECIAL_TOKENS,
    START,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harmony_py.chat.messages import Message, Role
    from harmony_py.format.events import Diagnostic, Event
    from harmony_py.format.parse import PolicyName
    from harmony_py.tokenizer import Segment

Markers = Literal["spelled", "stripped"]
"""`"spelled"`: control tokens are written out, `<|channel|>` and `<|message|>` at the least. `"stripped"`:
the engine left them all out, as in `analysisThe user asks...assistantfinalYes.`"""

_STRUCTURE: Final = {START, END, MESSAGE, CHANNEL, CONSTRAIN, RETURN, CALL, END_OF_TEXT}
_SPELLED: Final = {name: token for name, token in SPECIAL_TOKENS.items() if token in _STRUCTURE}

_PROMPT: Final = "assistant"

# Text goes to the tokenizer in pieces that do not depend on how it comes in. A piece is what one of these
# matches; the last one is held back, for it may go on.
_PIECE: Final = re.compile(r" ?\S{1,16}|\s")

_SPELLED_MARKERS: Final = (*_SPELLED, f"{_PROMPT}<|channel|>")
_SPELLED_MARKER: Final = re.compile("|".join(map(re.escape, _SPELLED_MARKERS)))

# Stripped: what stands at the beginning of the text, and between two messages.
_NEXTS: Final = tuple(_PROMPT + channel for channel in CHANNELS)
_FIRSTS: Final = (*CHANNELS, *_NEXTS)
_FIRST: Final = re.compile(f"(?:{_PROMPT})?(?P<channel>{'|'.join(CHANNELS)})")
_NEXT: Final = re.compile(f"{_PROMPT}(?P<channel>{'|'.join(CHANNELS)})")
_TAIL: Final = re.compile(
    r"(?: to=(?P<to>[\w.\-]{1,128})(?: (?P<code>code)(?=\s))?)?(?: ?(?P<json>json)(?=\s{0,8}[\[{]))?"
)
_UNFINISHED_TAIL: Final = re.compile(r" ?(?:t|to|to=|j|js|jso|json\s{0,8}|c|co|cod|code)?")


def parse_text(
    text: str,
    role: Role | str | None = "assistant",
    *,
    markers: Markers = "spelled",
    policy: PolicyName = "recover",
    tools: Iterable[str] | None = None,
) -> ParseResult:
    """The messages in `text`, as `parse` finds them in tokens.

    Spans and diagnostics count the tokens that the text was encoded to. They need not be those that the model
    sampled, so the messages do not remember them.
    """
    parser = TextParser(role, markers=markers, policy=policy, tools=tools)
    parser.feed(text)
    parser.finish()
    streamed = parser.parser
    return ParseResult(streamed.messages, streamed.spans, streamed.diagnostics, streamed.pending)


class TextParser:
    """`StreamableParser` for text that comes in pieces, cut anywhere.

    However it is cut, the messages, events and diagnostics are the same. A few characters are held back until
    it is clear that no marker begins with them; `finish` lets go of them.
    """

    def __init__(
        self,
        role: Role | str | None = "assistant",
        *,
        markers: Markers = "spelled",
        policy: PolicyName = "recover",
        tools: Iterable[str] | None = None,
    ) -> None:
        self.parser = StreamableParser(None, role, policy=policy, tools=tools, sources=False)
        """The parser behind: its properties tell the state."""
        if markers not in _SPLITTERS:
            raise ValueError(f"markers is one of {', '.join(_SPLITTERS)}, not {markers!r}")
        self._splitter = _SPLITTERS[markers]()

    def feed(self, text: str) -> list[Event]:
        """Take some text, and return what it brought about."""
        return self.parser.feed(self._splitter.ids(text, last=False))

    def finish(self) -> list[Event]:
        """Take the end of the text, which ends an open message."""
        return [*self.parser.feed(self._splitter.ids("", last=True)), *self.parser.finish()]

    @property
    def messages(self) -> list[Message]:
        return self.parser.messages

    @property
    def diagnostics(self) -> list[Diagnostic]:
        return self.parser.diagnostics


class _Found(NamedTuple):
    """Structure in the text, and the segments that it stands for; None while it may still go on."""

    start: int
    end: int
    segments: list[Segment] | None


class _Splitter:
    """Text to ids, where control tokens are spelled."""

    def __init__(self) -> None:
        self._held = ""
        self._before = ""
        """The last few characters that are not held any more."""
        self._behind_start = False

    def ids(self, text: str, *, last: bool) -> list[int]:
        """The ids of `text` and of what was held back before; with `last`, nothing is held back any more."""
        self._held += text
        segments: list[Segment] = []
        at = 0
        while found := self._next(at, last):
            segments += _PIECE.findall(self._held[at : found.start])
            at = found.start
            if found.segments is None:
                break
            segments += found.segments
            at = found.end
        else:
            undecided = 0 if last else self._undecided(at)
            pieces = _PIECE.findall(self._held[at : len(self._held) - undecided])
            if pieces and not last:
                pieces.pop()
            self._behind_start = self._behind_start and not pieces
            segments += pieces
            at += sum(map(len, pieces))
        self._before = (self._before + self._held[:at])[-3:]
        self._held = self._held[at:]
        return Tokenizer.o200k_harmony().encode_segments(segments)[0]

    def _next(self, at: int, last: bool) -> _Found | None:
        """The structure that comes next at or after `at`."""
        found = _SPELLED_MARKER.search(self._held, at)
        if found is None:
            return None
        token = _SPELLED.get(found[0])
        segments: list[Segment] = [_PROMPT, CHANNEL] if token is None else [token]
        begun = self._behind_start and found.start() == at
        before = self._before + self._held[max(0, found.start() - 3) : found.start()]
        if token is None and not begun and not before.endswith("to="):
            # Of `<|end|><|start|>assistant<|channel|>` some engines leave the last two.
            segments.insert(0, START)
        self._behind_start = token == START
        return _Found(found.start(), found.end(), segments)

    def _undecided(self, at: int) -> int:
        """How many of the last characters may begin a marker."""
        return _longest_beginning(self._held[at:], _SPELLED_MARKERS)


class _StrippedSplitter(_Splitter):
    """Text to ids, where nothing is left of the control tokens but the words between them."""

    _at_beginning = True

    def _next(self, at: int, last: bool) -> _Found | None:
        found = None
        if self._at_beginning:
            if not last and any(first.startswith(self._held) for first in _FIRSTS):
                return _Found(0, 0, None)
            self._at_beginning = False
            found = _FIRST.match(self._held)
        segments: list[Segment] = [START, _PROMPT] if found else [END, START, _PROMPT]
        found = found or _NEXT.search(self._held, at)
        if found is None:
            return None
        tail = _TAIL.match(self._held, found.end())
        assert tail is not None  # all of it is optional
        if not last and _UNFINISHED_TAIL.fullmatch(self._held, tail.end()):
            self._at_beginning = len(segments) == 2
            return _Found(found.start(), found.start(), None)
        to, content_type = tail["to"], tail["code"] or tail["json"]
        header = found["channel"] + (f" to={to}" if to else "") + (f" {content_type}" if content_type else "")
        return _Found(found.start(), tail.end(), [*segments, CHANNEL, header, MESSAGE])

    def _undecided(self, at: int) -> int:
        return _longest_beginning(self._held[at:], _NEXTS)


_SPLITTERS: Final[dict[str, type[_Splitter]]] = {"spelled": _Splitter, "stripped": _StrippedSplitter}


def _longest_beginning(text: str, names: tuple[str, ...]) -> int:
    """The length of the longest end of `text` that one of `names` begins with."""
    most = min(len(text), max(map(len, names)))
    return next((n for n in range(most, 0, -1) if any(name.startswith(text[-n:]) for name in names)), 0)
