"""`/v1/chat/completions`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from harmony_py.serve.asking import ask
from harmony_py.serve.http import answer_streamed, answer_whole, loads, read_body, spelled
from harmony_py.wire.chat_completions import ChatStream, Reply, completion, read_request
from harmony_py.wire.ids import random_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from harmony_py.serve.choice import Choice
    from harmony_py.serve.run import Run
    from harmony_py.serve.runners import Asked
    from harmony_py.serve.service import Service
    from harmony_py.wire import Options


async def create(service: Service, request: Request) -> Response:
    body = await read_body(request, service.settings)
    options, asked = await service.in_thread(_read, service, body)
    reply = Reply.to(options, reply_id=random_id("chatcmpl"), created=int(time.time()))
    run = service.run(asked, options)
    if options.stream:
        return await answer_streamed(request.receive, spelled(_chunks(run, reply)), run.close)
    return await answer_whole(request.receive, _whole(run, reply), run.close)


def _read(service: Service, body: bytes) -> tuple[Options, list[Asked]]:
    read = read_request(loads(body), system=service.settings.system(), builtin={})
    return read.options, ask(
        read.conversation, read.options, service.encoding, service.settings, service.runner
    )


async def _whole(run: Run[Choice], reply: Reply) -> dict[str, Any]:
    async for _ in run.news():
        pass
    return completion(reply, [choice.turn() for choice in run.choices], run.usage())


async def _chunks(run: Run[Choice], reply: Reply) -> AsyncIterator[list[dict[str, Any]]]:
    streams = [ChatStream(reply, choice.index) for choice in run.choices]
    left = len(streams)
    async for news in run.news():
        chunks: list[dict[str, Any]] = []
        for choice, events, entry, is_last in news:
            stream = streams[choice.index]
            chunks += stream.feed(events, entry)
            if is_last:
                left -= 1
                usage = None if left else run.usage()
                chunks += stream.finish(choice.last_events(), choice.stop, usage)
        yield chunks
