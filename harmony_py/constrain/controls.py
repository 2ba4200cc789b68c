"""`ControlMask`: which control tokens may come next. Needs nothing but the grammar's table."""

from __future__ import annotations

import functools
from operator import index
from typing import TYPE_CHECKING

from harmony_py.constrain import bits
from harmony_py.constrain.explain import place, spelled
from harmony_py.constrain.position import Position
from harmony_py.constrain.trail import Trail
from harmony_py.errors import ConstraintError
from harmony_py.format.grammar import TABLE, State, expected
from harmony_py.tokenizer.special import END_OF_TEXT, START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self


class ControlMask:
    """Keeps control tokens where the format has them; text is free wherever text may stand.

    A `Mask` allows a control token only where this one does. What a header says, or a call passes, is not
    looked at: for that, `Mask`.
    """

    __slots__ = ("_trail",)

    def __init__(self, prompt: Iterable[int] = ()) -> None:
        """See `Mask.from_spec`."""
        self._trail = Trail(Position.of(prompt))

    def allowed(self) -> bytes:
        """The tokens that may come next, as `Mask.allowed` gives them."""
        return _OVER if self.done else _allowed(self.state)

    def legal_specials(self) -> frozenset[int]:
        """The control tokens that may come next."""
        return frozenset(bits.ids(self.allowed(), START_OF_TEXT))

    @property
    def done(self) -> bool:
        """The turn is over."""
        return self._trail.stage.over

    @property
    def state(self) -> State:
        """Where the grammar's table is."""
        return self._trail.stage.state

    def advance(self, token: int) -> None:
        """Take `token`. `ConstraintError` if it was not allowed."""
        token = index(token)
        if not bits.has(self.allowed(), token):
            here = f"{spelled(token)} may not come {place(self._trail)}"
            raise ConstraintError(
                f"{here}; expected {' or '.join(expected(self.state))}",
                f"token {self._trail.taken} of the turn",
            )
        self._trail.take(token)

    def rollback(self, count: int) -> None:
        """Take back the last `count` tokens."""
        self._trail.give_back(count)

    def copy(self) -> Self:
        """Another mask at the same point of the same turn."""
        other = type(self).__new__(type(self))
        other._trail = self._trail.copy()
        return other

    __copy__ = copy


@functools.cache
def _allowed(state: State) -> bytes:
    row = TABLE[state]
    return bits.of([*row.next, *(range(START_OF_TEXT) if row.text else ())])


_OVER = bits.of([END_OF_TEXT])
