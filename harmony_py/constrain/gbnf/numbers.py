"""JSON's numbers as grammars, and whole numbers between bounds, digit by digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harmony_py.constrain.gbnf.rules import one_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGITS: Final = "[0-9]"

WHOLE: Final = f'("0" | [1-9] {DIGITS}*)'
REST: Final = f'("." {DIGITS}+)? ([eE] [+\\x2D]? {DIGITS}+)?'
"""What may stand behind the whole part of a number."""


def between(least: int | None, most: int | None) -> str | None:
    """The whole numbers from `least` to `most`, None for no bound; None if there are none."""
    ways = []
    if least is None or least < 0:
        low = 1 if most is None or most >= 0 else -most
        ways += [f'"-" {way}' for way in _natural(low, None if least is None else -least)]
    if most is None or most >= 0:
        ways += _natural(max(least or 0, 0), most)
    return one_of(ways) if ways else None


def _natural(low: int, high: int | None) -> Iterator[str]:
    """The numbers from `low` on, none of them negative, in groups of as many digits."""
    if high is None:
        length = len(str(low))
        yield from _natural(low, 10**length - 1)
        yield f"[1-9] {DIGITS}{{{length},}}"
        return
    while low <= high:
        last = min(high, 10 ** len(str(low)) - 1)
        yield _alike(str(low), str(last))
        low = last + 1


def _alike(low: str, high: str) -> str:
    """The numbers between two that have as many digits."""
    rest = len(low) - 1
    if set(low) <= {"0"} and set(high) <= {"9"}:
        return f"{DIGITS}{{{len(low)}}}" if rest else DIGITS
    if not rest:
        return f"[{low}-{high}]"
    if low[0] == high[0]:
        return f'"{low[0]}" {_alike(low[1:], high[1:])}'
    first, last = int(low[0]), int(high[0])
    ways = []
    if set(low[1:]) != {"0"}:
        ways.append(f'"{low[0]}" {_alike(low[1:], "9" * rest)}')
        first += 1
    if set(high[1:]) != {"9"}:
        ways.append(f'"{high[0]}" {_alike("0" * rest, high[1:])}')
        last -= 1
    if first <= last:
        ways.append(f"[{first}-{last}] {DIGITS}{{{rest}}}")
    return one_of(ways)
