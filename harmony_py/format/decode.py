"""Ids to text for the parser: any id decodes, whole runs in one call or one id at a time."""

from __future__ import annotations

import codecs
import functools
import re
import sys
from array import array
from operator import index
from typing import TYPE_CHECKING, Final

from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import LAST_RESERVED, START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIRST_CONTROL: Final = START_OF_TEXT
"""Ids below are text; ids from here on are control tokens or, past `LAST_RESERVED`, nothing at all."""

REPLACEMENT: Final = "\ufffd"
_REPLACEMENT_BYTES: Final = REPLACEMENT.encode()

_BULK: Final = 64
"""From this many ids on, looking for control tokens plane by plane beats looking at each id."""

_NOT_LOW: Final = re.compile(rb"[\x03-\xff]")


def is_valid(token: int) -> bool:
    return 0 <= token <= LAST_RESERVED


def scan(tokens: Iterable[int], *, any_size: bool) -> tuple[list[int], list[int]]:
    """`tokens` as a list of ints, and where in it the ids stand that are no text.

    `TypeError` on what is no integer; `OverflowError` on an id outside `0 .. 2**32 - 1` unless `any_size`.
    """
    ids = tokens if isinstance(tokens, list) else list(tokens)
    try:
        checked = array("I", ids)
    except TypeError:
        if isinstance(tokens, str):
            raise TypeError(
                "token ids are integers, not a str; `format.text.parse_text` reads text"
            ) from None
        raise
    except OverflowError:
        if not any_size:
            raise
        ids = [index(token) for token in ids]
        return ids, control_positions(ids)
    if ids is not tokens or (ids and type(ids[0]) is not int):
        # Integers of some other library. A list of ints is shared, not copied: it is of one kind.
        ids = checked.tolist()
    return ids, control_positions(ids) if len(ids) < _BULK else _positions_by_plane(ids, checked)


def control_positions(ids: list[int]) -> list[int]:
    """Where in `ids` the ids stand that are no text."""
    return [i for i, token in enumerate(ids) if not 0 <= token < FIRST_CONTROL]


def _positions_by_plane(ids: list[int], checked: array[int]) -> list[int]:
    """The same, several times as fast: in text the third byte is below 3, but for its last few ids."""
    octets = checked.tobytes()
    third, fourth = (octets[2::4], octets[3::4]) if sys.byteorder == "little" else (octets[1::4], octets[::4])
    if fourth.count(0) < len(ids):
        return control_positions(ids)
    return [i for found in _NOT_LOW.finditer(third) if ids[i := found.start()] >= FIRST_CONTROL]


def to_bytes(tokens: Sequence[int]) -> bytes:
    """Bytes of `tokens`; control tokens as they are spelled, ids that no token has as U+FFFD."""
    try:
        return Tokenizer.o200k_harmony().decode_bytes(tokens)
    except (KeyError, OverflowError):
        return b"".join(map(token_bytes, tokens))


def to_text(tokens: Sequence[int]) -> str:
    """Text of `tokens`; each invalid sequence of bytes becomes one U+FFFD."""
    return to_bytes(tokens).decode("utf-8", "replace")


@functools.cache
def _bytes_of(token: int) -> bytes:
    return Tokenizer.o200k_harmony().decode_bytes([token])


def token_bytes(token: int) -> bytes:
    """Bytes of one token; U+FFFD's for an id that no token has."""
    return _bytes_of(token) if is_valid(token) else _REPLACEMENT_BYTES


class _WholeTexts(dict[int, str | None]):
    """The text of the tokens that are whole characters, None for those that are not; filled on demand."""

    def __missing__(self, token: int) -> str | None:
        try:
            text: str | None = token_bytes(token).decode()
        except UnicodeDecodeError:
            text = None
        if is_valid(token):
            self[token] = text
        return text


_WHOLE_TEXTS: Final = _WholeTexts()


class TextStream:
    """The text of a message that is still being written: complete code points only.

    Each id is decoded once. What `take` and `advance` returned, put together, is the text; and that is what
    decoding all the ids at once gives.
    """

    __slots__ = ("_pending", "_pieces", "_text", "done", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.done = start
        """Ids before this index have been decoded."""
        self._pending = b""
        self._pieces: list[str] = []
        self._text = ""

    def take(self, token: int) -> str | None:
        """The text that the next id completes, if any."""
        self.done += 1
        if not self._pending:
            whole = _WHOLE_TEXTS[token]
            if whole is not None:
                self._pieces.append(whole)
                return whole
        return self._take(token_bytes(token), final=False) or None

    def advance(self, tokens: list[int], end: int) -> str:
        """The text that the ids from `done` to `end` complete."""
        start, self.done = self.done, end
        return self._take(to_bytes(tokens[start:end]), final=False)

    def finish(self) -> str:
        """What is left at the end of the message: U+FFFD for a code point cut short, else nothing."""
        return self._take(b"", final=True)

    def _take(self, raw: bytes, *, final: bool) -> str:
        raw = self._pending + raw
        text, used = codecs.utf_8_decode(raw, "replace", final)
        self._pending = raw[used:]
        if text:
            self._pieces.append(text)
        return text

    def text(self) -> str:
        """All the text so far."""
        if self._pieces:
            # With one reference left the interpreter extends the string in place: asking for the text after
            # every token then costs what the token costs, not what the text does.
            text, self._text = self._text, ""
            text += "".join(self._pieces)
            self._pieces.clear()
            self._text = text
        return self._text

    def complete_tokens(self, tokens: list[int]) -> list[int]:
        """The ids decoded so far, less those that an unfinished character needs."""
        end, unfinished = self.done, len(self._pending)
        while unfinished > 0:
            end -= 1
            unfinished -= len(token_bytes(tokens[end]))
        return tokens[self.start : end]

    def copy(self) -> TextStream:
        other = TextStream(self.start)
        other.done = self.done
        other._pending, other._pieces, other._text = self._pending, self._pieces.copy(), self._text
        return other
