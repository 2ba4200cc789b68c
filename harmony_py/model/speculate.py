"""Guessing what comes next by what came before: the cheapest draft there is.

Answers repeat their prompts: names, code, the arguments of calls. Where the last tokens stood before, what
followed them then is the guess. Running several guesses at once costs little more than running one token; the
model itself then draws at each place, and those guesses count that it draws as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDTHS: Final = (3, 2)
"""How many last tokens are looked up: more are surer, fewer are found more often."""


class Lookup:
    """Where each few tokens stood last. Takes the same short time for a token, however many there are."""

    def __init__(self, tokens: Iterable[int] = ()) -> None:
        self._tokens: list[int] = []
        # Behind which place the last few tokens stood before the last time, and the places of all.
        self._ends: dict[tuple[int, ...], int] = {}
        self._before: dict[int, int | None] = {}
        self.extend(tokens)

    def extend(self, tokens: Iterable[int]) -> None:
        """Tokens that are certain."""
        for token in tokens:
            self._tokens.append(token)
            for width in WIDTHS:
                if len(self._tokens) >= width:
                    few = tuple(self._tokens[-width:])
                    self._before[width] = self._ends.get(few)
                    self._ends[few] = len(self._tokens)

    def guess(self, count: int) -> list[int]:
        """What may come next, `count` tokens at most; none where nothing like the last tokens came before."""
        for width in WIDTHS:
            place = self._before.get(width)
            if place is not None:
                return self._tokens[place : place + count]
        return []
