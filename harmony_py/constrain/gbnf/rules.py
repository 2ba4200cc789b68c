"""A grammar of llama.cpp's while it is written: rules by name, and how characters are spelled in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from harmony_py.errors import ConstraintError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_TIMES: Final = 1999
"""llama.cpp repeats nothing more often: it refuses, or takes the number for none."""

NOTHING: Final = '""'

_PLAIN: Final = re.compile(r"[A-Za-z0-9 _.,:;/{}()+*?!#%&='~@$]")

_NAME: Final = re.compile(r"[a-z0-9-]+")

Range = tuple[int, int]
"""Characters from one to another, by number."""


class Rules:
    """The rules so far. A name is defined once; who asks for it again means the same rule."""

    def __init__(self) -> None:
        self._bodies: dict[str, str] = {}
        self._parts: dict[tuple[str, str], str] = {}

    def define(self, name: str, body: Callable[[], str]) -> str:
        """The name of the rule, which may be asked for while its body is being made."""
        name = name.replace("_", "-")
        if name not in self._bodies:
            self._bodies[name] = ""  # keeps its place before the rules within it
            self._bodies[name] = body()
        return name

    def part(self, kind: str, body: str) -> str:
        """A name for `body`: what is repeated has one, so that it counts as one."""
        if (kind, body) not in self._parts:
            self._parts[kind, body] = self.define(f"{kind}-{len(self._parts)}", lambda: body)
        return self._parts[kind, body]

    def repeated(self, body: str, least: int, most: int | None, where: str) -> str:
        """`body`, from `least` to `most` times."""
        if max(least, most or 0) > MOST_TIMES:
            raise ConstraintError(f"llama.cpp repeats nothing more than {MOST_TIMES:,} times", where)
        if most == 0:
            return NOTHING
        one = body if _NAME.fullmatch(body) else self.part("part", body)
        return f"{one}{{{least},{'' if most is None else most}}}"

    def written(self) -> str:
        return "".join(f"{name} ::= {body}\n" for name, body in self._bodies.items())


def one_of(ways: Iterable[str]) -> str:
    found = list(dict.fromkeys(ways))
    return found[0] if len(found) == 1 else f"({' | '.join(found)})"


def quoted(text: str) -> str:
    """Exactly this text."""
    return f'"{"".join(map(_spelled, text))}"'


def characters(ranges: Iterable[Range], *, other: bool = False) -> str:
    """One character of these, or one of none of them."""
    parts = (
        _spelled(chr(low)) if low == high else f"{_spelled(chr(low))}-{_spelled(chr(high))}"
        for low, high in ranges
    )
    return f"[{'^' if other else ''}{''.join(parts)}]"


def _spelled(character: str) -> str:
    if _PLAIN.fullmatch(character):
        return character
    number = ord(character)
    return f"\\x{number:02X}" if number < 0x80 else f"\\U{number:08X}"
