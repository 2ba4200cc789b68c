"""The tokens of a turn so far, and where the grammar's table stands behind them: enough to go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from harmony_py.constrain.position import spoken_on
from harmony_py.errors import ConstraintError
from harmony_py.format.grammar import TABLE, State
from harmony_py.tokenizer.special import (
    ASSISTANT_ACTION_STOP_TOKENS,
    END_OF_TEXT,
    MESSAGE,
    START,
    START_OF_TEXT,
)

if TYPE_CHECKING:
    from harmony_py.constrain.position import Position


class Stage(NamedTuple):
    """What a control token led to; text changes nothing of it."""

    at: int
    """The tokens up to it."""
    state: State
    start: int
    """Index of the open message's `<|start|>`."""
    thinking: bool
    """The text that follows is thoughts."""
    spent: int
    """Tokens of thoughts in messages that are complete."""
    over: bool
    """The turn has ended."""


class Trail:
    """Takes tokens that have been found legal, and gives them back. Costs O(1) a token."""

    __slots__ = ("_begun", "_stages", "tokens")

    def __init__(self, position: Position) -> None:
        self.tokens: list[int] = []
        self._stages = [Stage(0, State.BETWEEN, 0, False, position.spent, False)]
        for token in position.open:
            self.take(token)
        self._begun = len(self.tokens)

    @property
    def stage(self) -> Stage:
        return self._stages[-1]

    @property
    def taken(self) -> int:
        """How many tokens came after the prompt."""
        return len(self.tokens) - self._begun

    @property
    def thoughts(self) -> int:
        """Tokens of thoughts in the turn so far."""
        stage = self.stage
        return stage.spent + (len(self.tokens) - stage.at if stage.thinking else 0)

    @property
    def message(self) -> tuple[int, ...]:
        """The tokens of the open message, or of the last one."""
        return tuple(self.tokens[self.stage.start :])

    def take(self, token: int) -> None:
        thoughts = self.thoughts
        self.tokens.append(token)
        if token < START_OF_TEXT or token == END_OF_TEXT:
            return
        stage = self.stage
        at = len(self.tokens)
        self._stages.append(
            Stage(
                at,
                TABLE[stage.state].next[token],
                at - 1 if token == START else stage.start,
                token == MESSAGE and spoken_on(self.message) == "analysis",
                thoughts,
                token in ASSISTANT_ACTION_STOP_TOKENS,
            )
        )

    def give_back(self, count: int) -> list[int]:
        """Take back the last `count` tokens, and return them."""
        if not 0 <= count <= self.taken:
            raise ConstraintError(
                f"{count} tokens cannot be taken back, {self.taken} have been taken", "rollback"
            )
        length = len(self.tokens) - count
        gone = self.tokens[length:]
        del self.tokens[length:]
        while self.stage.at > length:
            self._stages.pop()
        return gone

    def copy(self) -> Trail:
        other = Trail.__new__(Trail)
        other.tokens = self.tokens.copy()
        other._stages = self._stages.copy()
        other._begun = self._begun
        return other
