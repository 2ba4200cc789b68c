"""SGLang with our text parser, switched on by `HARMONY_PY_SGLANG=1`.

SGLang reads harmony from text, twice: first for reasoning, then what that leaves for calls. Both go through
one class, which `plugin`, the entry point in the group `sglang.srt.plugins`, has SGLang replace by ours.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from harmony_py.chat.messages import EVERYONE, Role
from harmony_py.errors import EngineError
from harmony_py.format.grammar import SPELLED
from harmony_py.format.text import TextParser, parse_text
from harmony_py.tokenizer.special import CALL, CHANNEL, CONSTRAIN, MESSAGE, START, STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterable

VARIABLE: Final = "HARMONY_PY_SGLANG"
"""The environment variable that switches us on."""

TESTED: Final = ("0.5",)
"""The series of SGLang that this is tested with."""

TARGET: Final = "sglang.srt.parser.harmony_parser.HarmonyParser"

logger = logging.getLogger("sglang.harmony_py")


def plugin() -> None:
    """What SGLang calls. Does nothing unless `HARMONY_PY_SGLANG` is 1; `EngineError` with another SGLang."""
    if os.environ.get(VARIABLE) != "1":
        return
    version = importlib.metadata.version("sglang")
    if not any(version.startswith(f"{series}.") for series in TESTED):
        tested = ", ".join(f"{series}.*" for series in TESTED)
        raise EngineError(f"sglang {version}", f"tested is {tested}; unset {VARIABLE} to go on without us")
    hooks = importlib.import_module("sglang.srt.plugins.hook_registry")
    hooks.HookRegistry.register(TARGET, HarmonyParser, hooks.HookType.REPLACE)
    logger.info("harmony_py parses for SGLang %s in place of %s", version, TARGET)


class Event(NamedTuple):
    """What SGLang's detectors read."""

    event_type: str
    """`"reasoning"`, `"normal"` or `"tool_call"`."""
    content: str
    raw_text: str | None = None
    """A call as the detector of calls wants it written, whichever way the model wrote it."""


class _Kind(NamedTuple):
    """What the open message is to SGLang."""

    event_type: str
    recipient: str = ""
    content_type: str = ""


_TERMINATORS: Final = [SPELLED[token] for token in sorted(STOP_TOKENS)]
_MARKERS: Final = [SPELLED[token] for token in (START, CHANNEL, CONSTRAIN, MESSAGE)] + _TERMINATORS

_LONGEST_MARKER: Final = max(map(len, _MARKERS))


def _any_of(markers: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, markers)))


_BEGIN: Final = _any_of([SPELLED[START], SPELLED[CHANNEL], SPELLED[MESSAGE], *_TERMINATORS])
_HEADER_END: Final = _any_of([SPELLED[MESSAGE], SPELLED[START], *_TERMINATORS])
_CONTENT_END: Final = _any_of([SPELLED[START], *_TERMINATORS])

# What of a header may stand before its first marker. Models repeat "commentary" there behind a call.
_HEAD: Final = re.compile(r"\s*(?:assistant|(?P<filler>commentary))?\s*(?:to=\S+)?\s*")
_WORDS: Final = ("assistant", "commentary")

LONGEST_HEADER: Final = 512
"""Characters. What is longer is a header whose `<|message|>` is missing, and is given out."""


class HarmonyParser:
    """Text to events, however the text is cut.

    Text is given out as it comes, calls when they are complete. At most the beginning of a marker, or of a
    header, is held back; SGLang does not say where the text ends, so that at its very end it is lost, as it
    is with SGLang's own parser.
    """

    def __init__(self) -> None:
        self._held = ""
        self._at = 0
        """How much of it has been taken; nothing between chunks."""
        self._events: list[Event] = []
        self._kind: _Kind | None = None
        """Of the open message; None outside of any."""
        self._in_header = False
        self._fresh = True
        """Outside, nothing has been given out since the last message."""
        self._body = ""
        """Of an open call."""

    def parse(self, chunk: str) -> list[Event]:
        """What `chunk` brings about.

        Never nothing while text is held back: the detector of calls would give that out itself.
        """
        self._held += chunk
        self._events = []
        while self._step():
            pass
        self._held, self._at = self._held[self._at :], 0
        if not self._events and self._held:
            self._events.append(Event("normal", ""))
        return self._events

    def _step(self) -> bool:
        """Take what is there up to the next change of state; whether there was one."""
        if self._in_header:
            return self._header()
        return self._outside() if self._kind is None else self._content(self._kind)

    def _outside(self) -> bool:
        found = _BEGIN.search(self._held, self._at)
        if found is None:
            if not (self._fresh and _may_begin_header(self._held[self._at :])):
                self._text(_Kind("normal"), self._certain())
            return False
        head = _HEAD.fullmatch(self._held, self._at, found.start()) if self._fresh else None
        if head is None or found[0] in _TERMINATORS:
            self._text(_Kind("normal"), self._take(found.start()))
        elif head["filler"]:
            self._take(head.end("filler"))
        self._in_header = found[0] not in _TERMINATORS
        if not self._in_header:
            self._take(found.end())
            self._fresh = True
        return True

    def _header(self) -> bool:
        # What stands first may be the marker that the header begins with.
        begin, longest = self._at, self._at + LONGEST_HEADER
        found = _HEADER_END.search(self._held, begin + self._held.startswith(SPELLED[START], begin))
        if found is None and len(self._held) < longest + _LONGEST_MARKER:
            return False
        self._in_header = False
        if found is None or found.end() > longest:
            self._mended(self._certain(longest), is_open=True)
        elif found[0] == SPELLED[MESSAGE]:
            parser = TextParser(Role.ASSISTANT)
            parser.feed(self._take(found.end()))
            self._kind = _kind(_header_of(parser))
        else:
            end = found.start() if found[0] == SPELLED[START] else found.end()
            self._mended(self._take(end), is_open=False)
        return True

    def _mended(self, text: str, *, is_open: bool) -> None:
        """Give out what a header without `<|message|>` holds; if it is open, the rest is to come."""
        messages = parse_text(text).messages
        self._fresh = True
        for message in messages:
            fields = (message.author.role, message.channel, message.recipient, message.content_type)
            self._kind = _kind(fields)
            self._text(self._kind, message.text)
            if not is_open:
                self._close(self._kind)

    def _content(self, kind: _Kind) -> bool:
        found = _CONTENT_END.search(self._held, self._at)
        self._text(kind, self._certain() if found is None else self._take(found.start()))
        if found is None:
            return False
        if found[0] != SPELLED[START]:
            self._take(found.end())
        self._close(kind)
        return True

    # -- giving out ----------------------------------------------------------------------------------------

    def _text(self, kind: _Kind, text: str) -> None:
        if kind.event_type == "tool_call":
            self._body += text
        elif text:
            self._fresh = False
            self._events.append(Event(kind.event_type, text))

    def _close(self, kind: _Kind) -> None:
        if kind.event_type == "tool_call":
            self._events.append(Event("tool_call", self._body.strip(), _written(kind, self._body)))
        self._kind, self._body, self._fresh = None, "", True

    def _certain(self, end: int | None = None) -> str:
        """What is held before `end`, but for what may begin a marker: that stays."""
        return self._take(self._at + _without_beginning(self._held[self._at : end]))

    def _take(self, end: int) -> str:
        taken, self._at = self._held[self._at : end], end
        return taken


def _without_beginning(text: str) -> int:
    """The length of `text` without what, at its end, may begin a marker."""
    for size in range(min(_LONGEST_MARKER - 1, len(text)), 0, -1):
        if any(marker.startswith(text[-size:]) for marker in _MARKERS):
            return len(text) - size
    return len(text)


def _may_begin_header(text: str) -> bool:
    """Whether `text` may be what stands in a header before its first marker, or the beginning of that."""
    rest = text.lstrip()
    for word in _WORDS:
        if word.startswith(rest):
            return True
        if rest.startswith(word):
            rest = rest.removeprefix(word).lstrip()
            break
    if "to=".startswith(rest) or any(marker.startswith(rest) for marker in _MARKERS):
        return True
    return re.fullmatch(r"to=\S{0,256}\s*", rest) is not None


_Fields: TypeAlias = "tuple[Role | None, str | None, str | None, str | None]"


def _header_of(parser: TextParser) -> _Fields:
    state = parser.parser
    return state.current_role, state.current_channel, state.current_recipient, state.current_content_type


def _kind(fields: _Fields) -> _Kind:
    role, channel, recipient, content_type = fields
    if role is Role.ASSISTANT and recipient is not None and recipient not in _NOBODY:
        return _Kind("tool_call", recipient, content_type or "json")
    return _Kind("reasoning" if channel == "analysis" else "normal")


_NOBODY: Final = frozenset({EVERYONE, *(role.value for role in Role)})
"""Recipients that are no tools."""


def _written(kind: _Kind, body: str) -> str:
    """A call whose header is as the detector of calls looks for it: only so does it see what is JSON."""
    is_json = kind.content_type.removeprefix(SPELLED[CONSTRAIN]).strip() == "json"
    content_type = f"{SPELLED[CONSTRAIN]}json" if is_json else kind.content_type
    address = f"{SPELLED[CHANNEL]}commentary to={kind.recipient} {content_type}"
    return f"{SPELLED[START]}assistant{address}{SPELLED[MESSAGE]}{body}{SPELLED[CALL]}"
