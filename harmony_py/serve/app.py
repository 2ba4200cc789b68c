"""The application: what is asked where."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from harmony_py.errors import HarmonyError
from harmony_py.serve import chat, completions, responses
from harmony_py.serve.asking import check_model
from harmony_py.serve.door import Door
from harmony_py.serve.errors import as_wire_error, http_error
from harmony_py.serve.http import ClientGoneError, Json, error_response
from harmony_py.serve.metrics import CONTENT_TYPE
from harmony_py.serve.service import Service
from harmony_py.serve.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from harmony_py.serve.runners import Runner

    Endpoint = Callable[[Service, Request], Awaitable[Response]]

GONE = 499
"""What the counts have for a client that went away."""


def application(runner: Runner | Sequence[Runner], settings: Settings | None = None) -> Starlette:
    """An ASGI application that answers by `runner`. Several of them work side by side, on a thread each.

    Whatever is sent, the answer is the API's own or an error in its shape.
    """
    settings = settings or Settings()
    runners = list(runner) if isinstance(runner, Sequence) else [runner]

    @asynccontextmanager
    async def lifespan(_: ASGIApp) -> AsyncIterator[dict[str, Any]]:
        service = Service(runners, settings)
        try:
            yield {"service": service}
        finally:
            await service.in_thread(service.close)

    return Starlette(
        routes=_routes(),
        lifespan=lifespan,
        middleware=_middleware(settings),
        exception_handlers={
            HTTPException: _refused,
            HarmonyError: _failed,
            ClientGoneError: _gone,
            Exception: _failed,
        },
    )


def _routes() -> list[Route]:
    return [
        _route("/v1/chat/completions", chat.create, "POST"),
        _route("/v1/completions", completions.create, "POST"),
        _route("/v1/responses", responses.create, "POST"),
        _route("/v1/responses/{response_id}", responses.retrieve, "GET"),
        _route("/v1/responses/{response_id}", responses.delete, "DELETE"),
        _route("/v1/responses/{response_id}/cancel", responses.cancel, "POST"),
        _route("/v1/models", models, "GET"),
        _route("/v1/models/{model:path}", model, "GET"),
        _route("/health", health, "GET"),
        _route("/metrics", metrics, "GET"),
    ]


def _route(path: str, endpoint: Endpoint, method: str) -> Route:
    async def answer(request: Request) -> Response:
        return await endpoint(request.state.service, request)

    return Route(path, answer, methods=[method])


def _middleware(settings: Settings) -> list[Middleware]:
    door = Middleware(Door, settings=settings)
    if not settings.origins:
        return [door]
    methods = ["GET", "POST", "DELETE"]
    cors = Middleware(
        CORSMiddleware, allow_origins=settings.origins, allow_methods=methods, allow_headers=["*"]
    )
    return [cors, door]


# -- the small endpoints -----------------------------------------------------------------------------------


async def models(service: Service, _: Request) -> Response:
    return Json({"object": "list", "data": [_described(name) for name in service.settings.models]})


async def model(service: Service, request: Request) -> Response:
    name = request.path_params["model"]
    check_model(name, service.settings)
    return Json(_described(name))


def _described(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "harmony_py"}


async def health(service: Service, _: Request) -> Response:
    """Whether the engine's threads are there to answer."""
    alive = service.workers.alive
    return Json({"status": "ok" if alive else "the engine has stopped"}, 200 if alive else 503)


async def metrics(service: Service, _: Request) -> Response:
    return PlainTextResponse(service.metrics.text(), media_type=None, headers={"content-type": CONTENT_TYPE})


# -- errors ------------------------------------------------------------------------------------------------


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = http_error(error.status_code, error.detail, request.url.path, request.method)
    told.headers.update(error.headers or {})
    return error_response(told)


async def _failed(_: Request, error: Exception) -> Response:
    return error_response(as_wire_error(error))


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=GONE)
