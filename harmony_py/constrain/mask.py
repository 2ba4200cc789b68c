"""`Mask`: which tokens may come next, so that a turn becomes what its specification says."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Final

from harmony_py.constrain import bits, engine
from harmony_py.constrain.explain import place, possible, spelled
from harmony_py.constrain.position import Position
from harmony_py.constrain.trail import Trail
from harmony_py.constrain.turn import turn
from harmony_py.errors import ConstraintError
from harmony_py.tokenizer.special import END, END_OF_TEXT, START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt
    from llguidance import LLMatcher
    from torch import Tensor
    from typing_extensions import Self

    from harmony_py.constrain.spec import TurnSpec
    from harmony_py.format.grammar import State

LAST: Final = 3
"""Tokens that it takes at most to finish a character, byte by byte."""


class Mask:
    """Follows one turn token by token. Not to be shared between threads; `copy` is cheap.

    A turn of allowed tokens, followed to its end, parses strictly, and its call or answer fits the schema.
    Some token is allowed until the turn is over; afterwards only `<|endoftext|>` is. The first token that is
    refused is an error, and it stays one: every later call raises it again.
    """

    __slots__ = ("_allowed", "_budget", "_error", "_matcher", "_trail")

    def __init__(self, matcher: LLMatcher, trail: Trail, budget: int | None) -> None:
        self._matcher = matcher
        self._trail = trail
        self._budget = budget
        self._allowed: bytes | None = None
        self._error: ConstraintError | None = None

    @classmethod
    def from_spec(cls, spec: TurnSpec, prompt: Iterable[int] = ()) -> Self:
        """A mask for what follows `prompt`, which may end anywhere, also within a message of the turn.

        Without a prompt the turn begins behind `<|start|>assistant`. `ConstraintError` if the specification
        asks for what the engine cannot do, or the prompt has begun what it does not allow.
        """
        prompt = list(prompt)
        position = Position.of(prompt)
        matcher = engine.matcher(spec, turn(spec, position._replace(open=())))
        for at, token in enumerate(position.open):
            if not matcher.validate_tokens([token]):
                raise ConstraintError(
                    f"{spelled(token)} is not what the specification allows there; the prompt ends in "
                    f"{spelled(*position.open[: at + 1])}",
                    f"prompt, token {len(prompt) - len(position.open) + at}",
                )
            matcher.consume_token(token)
        return cls(matcher, Trail(position), spec.max_analysis_tokens)

    # -- what may come -------------------------------------------------------------------------------------

    def allowed(self) -> bytes:
        """The tokens that may come next: a bit for each id, as 32-bit words; see `constrain.bits`."""
        self._raise()
        if self._allowed is None:
            mask = self._matcher.compute_bitmask()[: bits.LENGTH]  # the engine's has a word to spare
            if self._matcher.is_error():
                self._fail(engine.reason(self._matcher))
            self._allowed = self._within_budget(mask)
        return self._allowed

    def allowed_numpy(self) -> npt.NDArray[np.int32]:
        """`allowed` as an array of words."""
        return bits.as_numpy(self.allowed())

    def allowed_torch(self) -> Tensor:
        """`allowed` as a tensor of words."""
        return bits.as_torch(self.allowed())

    def legal_specials(self) -> frozenset[int]:
        """The control tokens that may come next."""
        return frozenset(bits.ids(self.allowed(), START_OF_TEXT))

    @property
    def done(self) -> bool:
        """The turn is over: it ended in `<|return|>` or `<|call|>`."""
        return self._trail.stage.over

    @property
    def state(self) -> State:
        """Where the grammar's table is."""
        return self._trail.stage.state

    def accepts(self, tokens: Sequence[int]) -> int:
        """How many of `tokens` may come next, from the first on. Nothing changes; for drafts."""
        self._raise()
        if self._thoughts_left(len(tokens)) > LAST:
            return self._matcher.validate_tokens(list(tokens))
        probe = self.copy()
        for count, token in enumerate(tokens):
            if not bits.has(probe.allowed(), token):
                return count
            probe.advance(token)
        return len(tokens)

    # -- what comes ----------------------------------------------------------------------------------------

    def advance(self, token: int) -> None:
        """Take `token`. `ConstraintError` if it was not allowed."""
        token = index(token)
        self._raise()
        if not self._allows(token):
            self._fail(f"{spelled(token)} may not come {self._where()}. {self._what()}")
        self._allowed = None
        if not self.done:
            self._matcher.consume_token(token)
        self._trail.take(token)

    def rollback(self, count: int) -> None:
        """Take back the last `count` tokens: everything is as it was before them."""
        self._raise()
        gone = self._trail.give_back(count)
        # Behind the end of the turn nothing has been taken but ends of text, and not by the matcher.
        if not self._matcher.rollback(sum(token != END_OF_TEXT for token in gone)):
            self._fail(engine.reason(self._matcher))
        self._allowed = None

    def copy(self) -> Self:
        """Another mask at the same point of the same turn."""
        other = type(self)(self._matcher.deep_copy(), self._trail.copy(), self._budget)
        other._allowed = self._allowed
        other._error = self._error
        return other

    __copy__ = copy

    def explain(self) -> str:
        """Where the turn stands and what may come, or what went wrong: for people."""
        if self._error is not None:
            return str(self._error)
        return f"{self._where()[:1].upper()}{self._where()[1:]}. {self._what()}"

    # -- inside --------------------------------------------------------------------------------------------

    def _allows(self, token: int) -> bool:
        if self._allowed is None and not self.done and self._thoughts_left(1) > LAST:
            return 0 <= token < bits.LENGTH * 8 and bool(self._matcher.validate_tokens([token]))
        return bits.has(self.allowed(), token)

    def _thoughts_left(self, ahead: int = 0) -> float:
        """Tokens of thought that are left when `ahead` more have come."""
        return float("inf") if self._budget is None else self._budget - self._trail.thoughts - ahead

    def _within_budget(self, mask: bytes) -> bytes:
        """`mask` without what would exceed the budget of thoughts. No character is left unfinished."""
        left = self._thoughts_left()
        if not self._trail.stage.thinking or left > LAST:
            return mask
        if not bits.has(mask, END):
            return bits.both(mask, engine.byte_tokens())
        return bits.both(mask, engine.whole_tokens()) if left > 0 else bits.of([END])

    def _where(self) -> str:
        return place(self._trail)

    def _what(self) -> str:
        budget = ""
        if self._budget is not None and self._trail.stage.thinking:
            budget = f" {max(0, int(self._thoughts_left()))} of {self._budget} tokens of thought are left."
        return f"{possible(self.allowed())}{budget}"

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _fail(self, reason: str) -> None:
        self._error = ConstraintError(reason, f"token {self._trail.taken} of the turn")
        raise self._error
