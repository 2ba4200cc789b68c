"""`/v1/responses`, and what is remembered of them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from harmony_py.errors import WireError
from harmony_py.serve.asking import ask
from harmony_py.serve.errors import ServeError
from harmony_py.serve.http import Json, answer_streamed, answer_whole, dumps, loads, read_body
from harmony_py.wire.ids import random_id
from harmony_py.wire.responses import Reply, ResponseStream, read_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from harmony_py.serve.choice import Choice
    from harmony_py.serve.run import Run
    from harmony_py.serve.runners import Asked
    from harmony_py.serve.service import Service
    from harmony_py.wire.responses import ResponsesRequest


class Live:
    """A response that is being written."""

    def __init__(self, service: Service, run: Run[Choice], asked: ResponsesRequest, reply: Reply) -> None:
        self.run = run
        self.is_cancelled = False
        self.over = asyncio.Event()
        self._service, self._asked, self._reply = service, asked, reply
        self._stream = ResponseStream(reply)
        self.response: dict[str, Any] = {}
        """As it was when it was last told as a whole; nothing before its first token."""
        service.live[reply.id] = self

    async def events(self) -> AsyncIterator[list[dict[str, Any]]]:
        """The events as they come. The last one tells the whole response, which is remembered by then.

        An error before the first of them is raised, a later one makes it a failed response.
        """
        try:
            async for news in self.run.news():
                events: list[dict[str, Any]] = []
                for choice, brought, entry, is_last in news:
                    events += self._stream.feed(brought, entry)
                    if is_last:
                        usage = self.run.usage()
                        events += self._stream.finish(choice.last_events(), choice.stop, usage)
                        self._look_cancelled(events[-1]["response"])
                yield await self._told(events)
        except WireError as error:
            if not self.response:
                raise
            yield await self._told(self._stream.fail(error.message))

    def close(self) -> None:
        self.run.close()
        self._service.live.pop(self._reply.id, None)
        self.over.set()

    def cancel(self) -> None:
        """End it here; what has come is kept."""
        self.is_cancelled = True
        self.run.cancel()

    async def _told(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for event in events:
            self.response = event.get("response", self.response)
        if self.response and self.response["status"] != "in_progress" and self._asked.store:
            await self._remember(self.response)
        return events

    async def _remember(self, whole: dict[str, Any]) -> None:
        [choice] = self.run.choices
        messages = choice.parsed.messages
        past = self._asked.past.then(messages, whole["output"], self._asked.options.tools)
        await self._service.in_thread(self._service.store.put, whole, past)

    def _look_cancelled(self, whole: dict[str, Any]) -> None:
        if self.is_cancelled:
            whole |= {"status": "cancelled", "incomplete_details": None}


async def create(service: Service, request: Request) -> Response:
    body = await read_body(request, service.settings)
    asked, prompt = await service.in_thread(_read, service, body)
    reply = Reply.to(asked, reply_id=random_id("resp"), created_at=int(time.time()))
    live = Live(service, service.run(prompt, asked.options), asked, reply)
    if asked.options.stream:
        return await answer_streamed(request.receive, _written(live), live.close)
    return await answer_whole(request.receive, _whole(live), live.close)


def _read(service: Service, body: bytes) -> tuple[ResponsesRequest, list[Asked]]:
    settings = service.settings
    read = read_request(loads(body), system=settings.system(), builtin={}, store=service.store)
    return read, ask(read.conversation, read.options, service.encoding, settings, service.runner)


async def _whole(live: Live) -> dict[str, Any]:
    async for _ in live.events():
        pass
    return live.response


async def _written(live: Live) -> AsyncIterator[bytes]:
    async for events in live.events():
        if events:
            yield b"".join(
                b"event: " + event["type"].encode() + b"\ndata: " + dumps(event) + b"\n\n" for event in events
            )


async def retrieve(service: Service, request: Request) -> Response:
    if request.query_params.get("stream", "false") not in ("false", "0", ""):
        raise WireError("Unsupported parameter: 'stream': a response is told whole.", "stream")
    response_id = request.path_params["response_id"]
    live = service.live.get(response_id)
    if live is not None and live.response:
        return Json(live.response)
    found = await service.in_thread(service.store.response, response_id)
    if found is None:
        raise _unknown(response_id)
    return Json(found)


async def delete(service: Service, request: Request) -> Response:
    response_id = request.path_params["response_id"]
    if not await service.in_thread(service.store.forget, response_id):
        raise _unknown(response_id)
    return Json({"id": response_id, "object": "response", "deleted": True})


async def cancel(service: Service, request: Request) -> Response:
    """End a response that is being written. The API knows this of responses in the background only."""
    response_id = request.path_params["response_id"]
    live = service.live.get(response_id)
    if live is None:
        if await service.in_thread(service.store.response, response_id) is None:
            raise _unknown(response_id)
        raise WireError("Cannot cancel a response that is over.", "response_id")
    live.cancel()
    await live.over.wait()
    if not live.response:  # its client went away meanwhile
        raise _unknown(response_id)
    return Json(live.response)


def _unknown(response_id: str) -> ServeError:
    return ServeError(404, f"Response with id '{response_id[:80]}' not found.", "response_id", "not_found")
