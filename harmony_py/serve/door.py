"""Who may come in. Every answer passes here, and is counted."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from harmony_py.serve.errors import ServeError
from harmony_py.serve.http import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from harmony_py.serve.metrics import Metrics
    from harmony_py.serve.settings import Settings

OPEN: Final = ("/health",)
"""What may be asked without a key."""

_COUNTED: Final = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/models",
    "/health",
    "/metrics",
)


class Door:
    """Keys and origins.

    A page that a browser has open may ask only if its origin is allowed. Otherwise any page could use a
    server that listens on the loopback alone.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._keys = [key.encode() for key in settings.api_keys]
        self._origins = settings.origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics: Metrics = scope["state"]["service"].metrics
        begun = False

        def count(status: int) -> None:
            nonlocal begun
            begun = True
            metrics.requests.add(1, _label(scope["path"]), str(status))

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        refusal = self._refusal(scope["path"], Headers(scope=scope))
        try:
            await (self._app if refusal is None else error_response(refusal))(scope, receive, counted)
        except Exception:
            if not begun:
                count(500)  # which the framework says outside of this
            raise

    def _refusal(self, path: str, headers: Headers) -> ServeError | None:
        origin = headers.get("origin")
        if origin is not None and "*" not in self._origins and origin not in self._origins:
            return ServeError(403, "Pages of this origin may not use this server.", code="origin_not_allowed")
        if self._keys and path not in OPEN and not self._has_key(headers.get("authorization", "")):
            message = "Incorrect API key provided, or none: send 'Authorization: Bearer KEY'."
            told = {"www-authenticate": "Bearer"}
            return ServeError(401, message, code="invalid_api_key", headers=told)
        return None

    def _has_key(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        # All are compared, whichever is right: how long it takes tells nothing.
        found = [hmac.compare_digest(given.strip().encode("latin-1"), key) for key in self._keys]
        return scheme.lower() == "bearer" and any(found)


def _label(path: str) -> str:
    """The endpoint of a path. Strangers choose paths: there are only so many labels."""
    if path in _COUNTED:
        return path
    return "/v1/responses/{id}" if path.startswith("/v1/responses/") else "other"
