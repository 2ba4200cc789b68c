"""The queue, and the threads that work on it: one for each runner. The event loop never waits for an engine.

What a step brings is handed to the loop in one go, however many answers it concerns: waking the loop for each
token would cost more than the token.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from harmony_py.serve.errors import ServeError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from harmony_py.serve.runners import Asked, Outcome, Runner


logger = logging.getLogger(__name__)


class Started(NamedTuple):
    """An answer's turn has come."""

    at: float


class Arrival(NamedTuple):
    """What has come for a job, and when."""

    outcome: Outcome
    at: float
    reused: int = 0
    """With the first token: how many of the prompt's the engine had seen before."""

    @property
    def is_last(self) -> bool:
        outcome = self.outcome
        return outcome is None or isinstance(outcome, Exception) or outcome.finish is not None


class Job:
    """An answer that is asked for. It waits, is drawn, and is over.

    `tell` is called on the loop's thread with all that comes, and not any more once the job is cancelled.
    """

    def __init__(self, asked: Asked, tell: Callable[[Started | Arrival], None]) -> None:
        self.asked: Final = asked
        self.tell: Final = tell
        self.cancelled = False
        self.fresh = True
        """Nothing has been drawn yet; for the worker's thread alone."""


class Workers:
    """Runs jobs on the runners, first come first served. Its methods are for the loop's thread."""

    def __init__(self, runners: Sequence[Runner], loop: asyncio.AbstractEventLoop, *, waiting: int) -> None:
        self._loop: Final = loop
        self._most_waiting: Final = waiting
        self._waiting: Final[deque[Job]] = deque()
        self._running: Final[set[Job]] = set()
        self._changed: Final = threading.Condition()
        self._closing = False
        self._threads: Final = [
            threading.Thread(target=self._work, args=(runner,), name=f"harmony-py-{i}", daemon=True)
            for i, runner in enumerate(runners)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def submit(self, jobs: Sequence[Job]) -> None:
        """All of them, or none: `ServeError` if too many wait already."""
        with self._changed:
            if len(self._waiting) + len(jobs) > self._most_waiting:
                busy = "The server is busy: too many requests are waiting. Please try again later."
                headers = {"retry-after": "1"}
                raise ServeError(429, busy, code="rate_limit_exceeded", kind="requests", headers=headers)
            self._waiting.extend(jobs)
            self._changed.notify_all()

    def cancel(self, job: Job) -> None:
        """Nothing of it comes any more. The engine hears of it before its next step."""
        job.cancelled = True
        self._running.discard(job)
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def close(self, seconds: float = 10.0) -> None:
        """End everything; a step that is being taken is waited for."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(seconds)

    def _hear(self, told: Iterable[tuple[Job, Started | Arrival]]) -> None:
        """On the loop's thread: what a worker has to tell."""
        for job, news in told:
            if job.cancelled:
                continue
            if isinstance(news, Started):
                self._running.add(job)
            elif news.is_last:
                self._running.discard(job)
            job.tell(news)

    # -- in the threads ------------------------------------------------------------------------------------

    def _work(self, runner: Runner) -> None:
        running: set[Job] = set()
        while not self._closing:
            while (next_job := self._next(runner, running)) is not None:
                self._tell(list(_start(runner, next_job, running)))
            for job in [job for job in running if job.cancelled]:
                running.discard(job)
                runner.stop(job)
            if running:
                self._tell(_step(runner, running))
        for job in running:
            runner.stop(job)

    def _next(self, runner: Runner, running: set[Job]) -> Job | None:
        """The next job to begin, waited for if there is nothing else to do. None: go on with what there is.

        One that there is no room for keeps its place, and those behind it wait too: else it would for ever.
        """
        with self._changed:
            while not (running or self._waiting or self._closing):
                self._changed.wait()
            if self._closing or not self._waiting or len(running) >= runner.slots:
                return None
            return self._waiting.popleft() if runner.takes(self._waiting[0].asked) else None

    def _tell(self, told: list[tuple[Job, Started | Arrival]]) -> None:
        # A loop that is closed has nobody left who could be told.
        if told:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._hear, told)


def _start(runner: Runner, job: Job, running: set[Job]) -> Iterator[tuple[Job, Started | Arrival]]:
    if job.cancelled:
        return
    yield job, Started(time.monotonic())
    try:
        runner.start(job, job.asked)
    except Exception as error:
        yield job, Arrival(error, time.monotonic())
    else:
        running.add(job)


def _step(runner: Runner, running: set[Job]) -> list[tuple[Job, Started | Arrival]]:
    """What a step brings. If the engine itself fails, that is the end of all that is under way."""
    told: list[tuple[Job, Started | Arrival]] = []
    try:
        for job, outcome in runner.step():
            assert isinstance(job, Job)
            news = Arrival(outcome, time.monotonic(), runner.reused(job) if job.fresh else 0)
            job.fresh = False
            told.append((job, news))
            if news.is_last:
                running.discard(job)
    except Exception as error:
        logger.exception("the engine failed")
        for job in running:
            runner.stop(job)
            told.append((job, Arrival(error, time.monotonic())))
        running.clear()
    return told
