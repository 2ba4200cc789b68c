"""Bodies in, bodies out: JSON within limits, streams of events, and clients that go away."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from harmony_py.errors import WireError
from harmony_py.serve.errors import ServeError, headers_of, status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from harmony_py.serve.settings import Settings

T = TypeVar("T")

DONE: Final = b"data: [DONE]\n\n"


class ClientGoneError(Exception):
    """Nobody reads the answer any more."""


def dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(data: object) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + dumps(data) + b"\n\n"


async def spelled(pieces: AsyncIterator[Sequence[object]]) -> AsyncIterator[bytes]:
    """`pieces` as events, and `DONE`. An error before the first is raised, a later one is the last event."""
    begun = False
    try:
        async for piece in pieces:
            if piece:
                begun = True
                yield b"".join(map(event, piece))
    except WireError as error:
        if not begun:
            raise
        yield event(error.to_dict())
    yield DONE


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return dumps(content)


def error_response(error: WireError) -> Response:
    return Json(error.to_dict(), status_of(error), headers_of(error))


async def read_body(request: Request, settings: Settings) -> bytes:
    """The body; `ServeError` if it is longer than is allowed, or does not come."""
    try:
        with anyio.fail_after(settings.seconds):
            return await _read(request, settings.body_bytes)
    except TimeoutError:
        raise ServeError(408, "The request did not come to its end in time.", code="timeout") from None
    except ClientDisconnect:
        raise ClientGoneError from None


def loads(body: bytes) -> Any:
    """The body as JSON; `WireError` if it is none. A long one takes a while: not for the loop's thread."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"We could not parse the JSON body of your request: {error}") from None


async def _read(request: Request, limit: int) -> bytes:
    pieces = []
    length = 0
    async for piece in request.stream():
        length += len(piece)
        if length > limit:
            raise ServeError(413, f"The request is longer than {limit} bytes.", code="request_too_large")
        pieces.append(piece)
    return b"".join(pieces)


async def until_gone(receive: Receive, work: Awaitable[T]) -> T:
    """What `work` gives. It is cancelled where the client goes away before: `ClientGoneError`."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def answer_whole(receive: Receive, work: Awaitable[dict[str, Any]], close: Callable[[], None]) -> Json:
    """What `work` gives, as the answer. `close` is called when that is over, however it ends."""
    try:
        return Json(await until_gone(receive, work))
    finally:
        close()


async def answer_streamed(
    receive: Receive, events: AsyncIterator[bytes], close: Callable[[], None]
) -> EventStream:
    """An answer that begins with the first event: until then an error is an answer of its own.

    `close` is called when all were sent, or nobody is there to read them.
    """
    try:
        return EventStream(await until_gone(receive, anext(events)), events, close)
    except BaseException:
        close()
        raise


class EventStream(Response):
    """Server-sent events; see `answer_streamed`."""

    media_type = "text/event-stream"

    def __init__(self, first: bytes, rest: AsyncIterator[bytes], close: Callable[[], None]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._first, self._rest, self._close = first, rest, close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await until_gone(receive, self._send(send))
        except ClientGoneError:
            pass
        finally:
            self._close()

    async def _send(self, send: Send) -> None:
        head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(head)
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for piece in self._rest:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
