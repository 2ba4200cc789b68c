"""Everything that a server's answers share: the engine's workers, the limits, the store, the counts."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio.to_thread

from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.serve.choice import Choice
from harmony_py.serve.metrics import Metrics
from harmony_py.serve.run import C, Run
from harmony_py.serve.store import InFile, InMemory, ResponseStore
from harmony_py.serve.worker import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harmony_py.serve.responses import Live
    from harmony_py.serve.runners import Asked, Runner
    from harmony_py.serve.settings import Settings
    from harmony_py.wire import Options

T = TypeVar("T")

THREADS: Final = 4
"""For reading requests and rendering prompts, which may take a while where they are long."""


class Service:
    """Made where the event loop runs. `close` ends all that is under way."""

    def __init__(self, runners: Sequence[Runner], settings: Settings) -> None:
        self.settings: Final = settings
        self.runner: Final = runners[0]
        """They are all alike."""
        self.encoding: Final = load_harmony_encoding()
        self.workers: Final = Workers(runners, asyncio.get_running_loop(), waiting=settings.waiting)
        self.metrics: Final = Metrics(lambda: self.workers.running, lambda: self.workers.waiting)
        self.store: Final[ResponseStore] = (
            InMemory(settings.stored, settings.stored_bytes)
            if settings.database is None
            else InFile(settings.database, settings.stored)
        )
        self.live: Final[dict[str, Live]] = {}
        """The responses that are being written, by their ids."""
        self._limiter: Final = anyio.CapacityLimiter(THREADS)

    def run(self, asked: Sequence[Asked], options: Options) -> Run[Choice]:
        """Ask the engine for turns of the assistant; `ServeError` if too many wait for it already."""
        return self.draw(asked, [Choice(i, each, options, self.encoding) for i, each in enumerate(asked)])

    def draw(self, asked: Sequence[Asked], choices: Sequence[C]) -> Run[C]:
        """The same for whatever `choices` make of the tokens."""
        return Run(asked, choices, self.workers, self.metrics, self.settings.seconds)

    async def in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        """What `call` gives, worked out where it holds up nobody."""
        return await anyio.to_thread.run_sync(partial(call, *arguments), limiter=self._limiter)

    def close(self) -> None:
        self.workers.close()
        if isinstance(self.store, InFile):
            self.store.close()
