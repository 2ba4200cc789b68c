"""Whether something takes a time that grows with its input, and no faster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES = 3


def assert_linear(prepare: Callable[[int], Callable[[], object]], size: int) -> None:
    """`prepare` gives what is to be timed once, for an input of a size."""
    # Ten times the input: ten times the time, a hundred times if it were quadratic.
    assert _seconds(prepare, 10 * size) < 35 * max(_seconds(prepare, size), 0.001)


def _seconds(prepare: Callable[[int], Callable[[], object]], size: int) -> float:
    best = float("inf")
    for _ in range(TRIES):
        run = prepare(size)
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best
