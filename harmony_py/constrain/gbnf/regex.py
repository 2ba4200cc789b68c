r"""Regular expressions as grammars: the part of their syntax that every dialect reads alike.

Alternatives, groups, repetitions, sets, `.`, and `\d`, `\w`, `\s`, which are ASCII's here. No lookaround, no
references back, no flags; anchors at the two ends only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from harmony_py.constrain.gbnf.rules import NOTHING, one_of
from harmony_py.errors import ConstraintError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.constrain.gbnf.rules import Range, Rules

Ranges = tuple["Range", ...]

LAST: Final = 0x10FFFF
DEEPEST: Final = 50

_SETS: Final[dict[str, Ranges]] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0D), (0x20, 0x20)),
}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_HEX: Final = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})")
_TIMES: Final = re.compile(r"\{(\d{1,6})(,?)(\d{0,6})\}")


def other(ranges: Ranges) -> Ranges:
    """Every character that is not in `ranges`."""
    found: list[Range] = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            found.append((start, low - 1))
        start = max(start, high + 1)
    return (*found, *([(start, LAST)] if start <= LAST else []))


def holds(ranges: Ranges, character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in ranges)


class Reader:
    """Reads `pattern` once from left to right; `spell` says how one character of a set is written."""

    def __init__(self, pattern: str, where: str, rules: Rules, spell: Callable[[Ranges], str]) -> None:
        self._text, self._where, self._rules, self._spell = pattern, where, rules, spell
        self._at = 0
        self._depth = 0

    def read(self) -> str:
        """The whole pattern as a grammar."""
        found = self._ways()
        if self._at < len(self._text):
            raise self._error("nothing opens this bracket")
        return found

    def _ways(self) -> str:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"nested deeper than {DEEPEST} brackets")
        ways = [self._row()]
        while self._skip("|"):
            ways.append(self._row())
        self._depth -= 1
        return one_of(ways)

    def _row(self) -> str:
        parts = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._times(self._atom()))
        return " ".join(parts) or NOTHING

    def _times(self, atom: str) -> str:
        times = self._count()
        if times is None:
            return atom
        self._skip("?")  # whichever is tried first, the same texts match
        if self._at < len(self._text) and self._text[self._at] in "*+{":
            raise self._error("a repetition of a repetition")
        return self._rules.repeated(atom, *times, self._where)

    def _count(self) -> tuple[int, int | None] | None:
        """How often what comes before may come; None where nothing is said."""
        counted = _TIMES.match(self._text, self._at)
        if counted is None:
            sign = self._skip("*+?")
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign] if sign else None
        self._at = counted.end()
        least, last = int(counted[1]), int(counted[3]) if counted[3] else None
        most = last if counted[2] else least
        if most is not None and most < least:
            raise self._error("more at least than at most")
        return least, most

    def _atom(self) -> str:
        character = self._next()
        if character == "(":
            if self._skip("?") and not self._skip(":"):
                raise self._error("only plain groups and (?:...) can be said")
            inner = self._ways()
            if not self._skip(")"):
                raise self._error("a bracket is open")
            return f"({inner})"
        if character == "[":
            return self._spell(self._set())
        if character == ".":
            return self._spell(other(((0x0A, 0x0A),)))
        if character == "\\":
            return self._spell(self._escape())
        if character in "^$*+?{":
            raise self._error(f"{character!r} cannot stand here")
        return self._spell(((ord(character), ord(character)),))

    def _set(self) -> Ranges:
        negated = bool(self._skip("^"))
        found: list[Range] = []
        if self._skip("]"):
            raise self._error("dialects read a set that begins with ']' differently")
        while not self._skip("]"):
            low = self._member()
            following = self._text[self._at : self._at + 2]
            if following[:1] == "-" and following != "-]" and len(low) == 1 and low[0][0] == low[0][1]:
                self._at += 1
                high = self._member()
                if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
                    raise self._error("no range of characters")
                found.append((low[0][0], high[0][0]))
            else:
                found += low
        return other(tuple(found)) if negated else tuple(found)

    def _member(self) -> Ranges:
        character = self._next()
        if character == "\\":
            return self._escape()
        if character in "[&~" and self._text[self._at : self._at + 1] in (":", character):
            raise self._error("named sets and operations on sets cannot be said")
        return ((ord(character), ord(character)),)

    def _escape(self) -> Ranges:
        if coded := _HEX.match(self._text, self._at):
            self._at = coded.end()
            number = int(coded[1] or coded[2], 16)
            return ((number, number),)
        character = self._next()
        if character.lower() in _SETS:
            ranges = _SETS[character.lower()]
            return ranges if character.islower() else other(ranges)
        if character.isalnum() and character not in _CONTROLS:
            raise self._error(f"\\{character} cannot be said")
        character = _CONTROLS.get(character, character)
        return ((ord(character), ord(character)),)

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise self._error("ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _skip(self, characters: str) -> str:
        """The next character if it is one of these."""
        found = self._text[self._at : self._at + 1]
        if found and found in characters:
            self._at += 1
            return found
        return ""

    def _error(self, reason: str) -> ConstraintError:
        return ConstraintError(f"{reason}, at character {self._at} of the pattern", self._where)
