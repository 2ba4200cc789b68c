"""A client of an MCP server in a thread with an event loop of its own, asked from anywhere."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import weakref
from typing import TYPE_CHECKING, Any

from harmony_py.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.client import Client


class Connection:
    """Open from the beginning until `close`, which is also called when nobody holds it any more."""

    def __init__(self, make: Callable[[], Client], seconds: float) -> None:
        self._life = _Life(make)
        thread = threading.Thread(target=self._life.run, daemon=True, name="mcp")
        thread.start()
        self.close = weakref.finalize(self, _end, self._life, thread)
        """End the connection, and the server if it is ours."""
        if not self._life.ready.wait(seconds):
            self.close()
            raise ToolError(f"it did not answer within {seconds:g} seconds")
        if self._life.failure is not None:
            self.close()
            raise ToolError(f"no connection: {_named(self._life.failure)}")

    def ask(self, question: Callable[[Client], Awaitable[Any]], seconds: float) -> Any:
        """What the client answers. `TimeoutError` if it takes longer; other errors as they come."""
        life = self._life
        if life.loop is None or life.client is None:
            raise ConnectionError("it is gone")
        future = asyncio.run_coroutine_threadsafe(_asked(question, life.client), life.loop)
        try:
            return future.result(seconds)
        except (TimeoutError, concurrent.futures.TimeoutError):
            future.cancel()
            raise TimeoutError from None


async def _asked(question: Callable[[Client], Awaitable[Any]], client: Client) -> Any:
    return await question(client)


class _Life:
    """What goes on in the thread. Knows nothing of the connection, so that that can be forgotten."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._closing: asyncio.Event | None = None
        self._ended = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self.client: Client | None = None
        self.ready = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            self.failure = error
        finally:
            self.client = self.loop = None
            self.ready.set()

    async def _live(self) -> None:
        self._closing = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        if self._ended:
            return
        opening = asyncio.ensure_future(self._open())
        closing = asyncio.ensure_future(self._closing.wait())
        # A server that does not even answer the greeting is left as well.
        await asyncio.wait((opening, closing), return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        opening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await opening

    async def _open(self) -> None:
        async with self._make() as client:
            self.client = client
            self.ready.set()
            await asyncio.Event().wait()

    def end(self) -> None:
        self._ended = True
        loop, closing = self.loop, self._closing
        if loop is not None and closing is not None:
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                loop.call_soon_threadsafe(closing.set)


def _end(life: _Life, thread: threading.Thread) -> None:
    life.end()
    if thread is not threading.current_thread():  # where garbage happened to be collected
        # A process that will not end is killed within this time by the client.
        thread.join(10)


def _named(error: BaseException) -> str:
    """The error that others are wrapped around."""
    while inner := getattr(error, "exceptions", None):
        error = inner[0]
    return f"{type(error).__name__}: {error}"
