"""A request under way: its choices, what has come of them, and when enough is enough."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeAlias, TypeVar

from harmony_py.serve.errors import ServeError, as_wire_error, status_of
from harmony_py.serve.worker import Job, Started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from harmony_py.engines import Step
    from harmony_py.errors import WireError
    from harmony_py.format.events import Event
    from harmony_py.serve.metrics import Metrics
    from harmony_py.serve.runners import Asked
    from harmony_py.serve.worker import Arrival, Workers
    from harmony_py.wire import Stop, Usage
    from harmony_py.wire.logprobs import Entry

logger = logging.getLogger(__name__)


class AnyChoice(Protocol):
    """An answer as it comes: `choice.Choice`, or one that makes nothing of its tokens."""

    reused: int

    @property
    def index(self) -> int: ...

    @property
    def over(self) -> bool:
        """Whether nothing comes of it any more."""
        ...

    @property
    def tokens(self) -> list[int]: ...

    def take(self, step: Step) -> tuple[list[Event], Entry | None]:
        """What a token brings about, and its entry where log probabilities are wanted."""
        ...

    def end(self, stop: Stop) -> None:
        """No more tokens come."""
        ...

    def usage(self) -> Usage:
        """What it took."""
        ...


C = TypeVar("C", bound=AnyChoice)


News: TypeAlias = "tuple[C, list[Event], Entry | None, bool]"
"""What a token, or the end, brought one of the choices; and whether nothing comes of it any more."""


class Run(Generic[C]):
    """Asks the workers for each choice as soon as it is made; `ServeError` if they have too much to do.

    Whoever makes one closes it. That ends what is still being drawn.
    """

    def __init__(
        self,
        asked: Sequence[Asked],
        choices: Sequence[C],
        workers: Workers,
        metrics: Metrics,
        seconds: float,
    ) -> None:
        self.choices: Final = choices
        self._jobs: Final = [Job(each, partial(self._hear, i)) for i, each in enumerate(asked)]
        self._workers, self._metrics = workers, metrics
        self._came: deque[News[C]] = deque()
        self._woken = asyncio.Event()
        self._error: WireError | None = None
        self._closed = False
        self._began = time.monotonic()
        self._last = [self._began] * len(asked)
        workers.submit(self._jobs)
        metrics.prompt_tokens.add(len(asked[0].ids))
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_is_up)

    async def news(self) -> AsyncIterator[list[News[C]]]:
        """What has come since it was last asked, until all choices are over. Raises what went wrong."""
        while True:
            while not (self._came or self._error or self._all_over):
                await self._woken.wait()
            self._woken.clear()
            if self._came:
                came, self._came = list(self._came), deque()
                yield came
            elif self._error:
                raise self._error
            else:
                return

    def usage(self) -> Usage:
        """Of all choices together."""
        first, *others = (choice.usage() for choice in self.choices)
        for other in others:
            first = first.plus(other)
        return first

    def cancel(self) -> None:
        """End it here: what has come is the answer."""
        for choice in self.choices:
            if not choice.over:
                self._end(choice)
        self._woken.set()

    def close(self) -> None:
        """Nobody waits for it any more."""
        self._timer.cancel()
        if not (self._all_over or self._error or self._closed):
            self._metrics.cancelled.add()
        self._closed = True
        for job in self._jobs:
            self._workers.cancel(job)

    @property
    def _all_over(self) -> bool:
        return all(choice.over for choice in self.choices)

    def _hear(self, index: int, news: Started | Arrival) -> None:
        if isinstance(news, Started):
            self._metrics.queue.see(news.at - self._began)
            return
        choice, outcome = self.choices[index], news.outcome
        if isinstance(outcome, Exception):
            self._fail(outcome)
        elif outcome is None:
            choice.end("stop")
            self._came.append((choice, [], None, True))
        else:
            self._count(choice, news)
            events, entry = choice.take(outcome)
            self._came.append((choice, events, entry, choice.over))
            if choice.over:
                self._workers.cancel(self._jobs[index])
        if self._all_over:
            self._timer.cancel()
            self._metrics.request.see(time.monotonic() - self._began)
        self._woken.set()

    def _count(self, choice: C, news: Arrival) -> None:
        first = not choice.tokens
        if first:
            choice.reused = news.reused
            self._metrics.cached_tokens.add(news.reused)
        seen = self._metrics.first_token if first else self._metrics.between_tokens
        seen.see(news.at - self._last[choice.index])
        self._last[choice.index] = news.at
        self._metrics.output_tokens.add()

    def _fail(self, error: Exception) -> None:
        self._error = as_wire_error(error)
        if status_of(self._error) >= 500:
            logger.error("a request failed", exc_info=error)
        self.close()

    def _time_is_up(self) -> None:
        """What has been drawn is the answer, cut off; if there is nothing, that is an error."""
        if any(choice.tokens for choice in self.choices):
            self.cancel()
            return
        late = "The server had no time for this request."
        self._error = ServeError(503, late, code="timeout", kind="server_error")
        self.close()
        self._woken.set()

    def _end(self, choice: C) -> None:
        self._workers.cancel(self._jobs[choice.index])
        choice.end("length")
        self._came.append((choice, [], None, True))
