"""Runners: an engine as the worker sees it, with several answers under way that get on a little at a time.

A runner belongs to one thread. It is told to start and stop answers, and to take a step; what the step brings
it gives out with whom it is for.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from harmony_py.engines import require_step
from harmony_py.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from harmony_py.engines import Engine, Mask, Step

logger = logging.getLogger(__name__)


class Asked(NamedTuple):
    """What an answer is drawn from."""

    ids: list[int]
    sampling: dict[str, Any]
    """By the names of `harmony_py.engines.options`; `logprobs` besides, where the runner has them."""
    mask: Mask | None = None


Outcome: TypeAlias = "Step | Exception | None"
"""What a step brings an answer: a token; the reason why it cannot go on; or its end without a last token. A
token with a `finish` is the last one."""


class Runner(Protocol):
    """An engine with answers under way, each known by a key that the caller chooses."""

    @property
    def slots(self) -> int:
        """How many answers may be under way at once."""
        ...

    @property
    def context(self) -> int | None:
        """What a prompt and its answer may come to; None if nobody knows."""
        ...

    @property
    def masks(self) -> bool:
        """Whether it follows masks."""
        ...

    @property
    def logprobs(self) -> bool:
        """Whether its steps tell the likeliest tokens, as many as `logprobs` in the sampling says."""
        ...

    def takes(self, asked: Asked) -> bool:
        """Whether there is room for it now. If nothing is under way there always is."""
        ...

    def start(self, key: Hashable, asked: Asked) -> None:
        """Begin. A mistake in what is asked is raised, and nothing has begun."""
        ...

    def step(self) -> Iterable[tuple[Hashable, Outcome]]:
        """A step of every answer under way. What is raised concerns them all."""
        ...

    def stop(self, key: Hashable) -> None:
        """End an answer, if it is under way."""
        ...

    def reused(self, key: Hashable) -> int:
        """How many tokens of the prompt of an answer under way the engine had seen before."""
        ...


class Interleaved:
    """Any engine: the answers under way take turns, a token each.

    That takes an engine that several answers may be drawn from at a time. With others `slots` is 1, and each
    waits for the one before it.
    """

    logprobs: Final = False

    def __init__(
        self, engine: Engine, *, slots: int = 1, context: int | None = None, masks: bool = True
    ) -> None:
        self.slots: Final = slots
        self.context: Final = context
        self.masks: Final = masks
        self._engine: Final = engine
        self._under_way: Final[dict[Hashable, Iterator[Step]]] = {}

    def takes(self, asked: Asked) -> bool:
        return True

    def start(self, key: Hashable, asked: Asked) -> None:
        steps = self._engine.generate(asked.ids, asked.sampling, mask=asked.mask)
        self._under_way[key] = iter(steps)

    def step(self) -> Iterator[tuple[Hashable, Outcome]]:
        for key, steps in list(self._under_way.items()):
            outcome: Outcome
            try:
                outcome = next(steps, None)
                if outcome is not None:
                    require_step(self._engine, outcome)
            except Exception as error:
                outcome = error
            yield key, outcome
            if outcome is None or isinstance(outcome, Exception) or outcome.finish is not None:
                self.stop(key)

    def stop(self, key: Hashable) -> None:
        steps = self._under_way.pop(key, None)
        close = getattr(steps, "close", None)
        if close is not None:
            try:
                close()
            except Exception:
                # The others go on.
                logger.exception("the engine failed to end an answer")

    def reused(self, key: Hashable) -> int:
        return 0


def require_slots(slots: int) -> int:
    if slots < 1:
        raise EngineError("serve", f"slots: expected 1 or more, found {slots}")
    return slots
