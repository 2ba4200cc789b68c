"""The application on a socket: for good with `run`, in a thread of its own with `Background`."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp
    from typing_extensions import Self

LOOPBACK: Final = "127.0.0.1"

PATIENCE: Final = 5
"""Seconds for answers under way, once the server is told to end."""

BACKLOG: Final = 2048
"""Connections that may wait to be accepted."""

_OPTIONS: Final[dict[str, Any]] = {
    "log_level": "warning",
    "access_log": False,
    "lifespan": "on",
    "timeout_graceful_shutdown": PATIENCE,
    "server_header": False,
    "ws": "none",
}


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket at that address, and its URL; port 0 is any that is free."""
    if not 0 <= port < 2**16:
        raise HarmonyError(f"cannot listen at {host}, port {port}: expected 0 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise HarmonyError(f"cannot listen at {host}, port {port}: {error.strerror}") from error
    name = f"[{host}]" if ":" in host else host
    return listening, f"http://{name}:{listening.getsockname()[1]}"


def run(
    app: ASGIApp,
    *,
    host: str = LOOPBACK,
    port: int = 8000,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve until interrupted. `ready` is told the URL once clients can connect."""
    listening, url = listen(host, port)
    with listening:
        ready(url)
        uvicorn.Server(uvicorn.Config(app, **_OPTIONS)).run(sockets=[listening])


class Background:
    """A server in a thread, on a free port of the loopback unless told otherwise.

    with Background(app) as server:
        client = OpenAI(base_url=server.url + "/v1", api_key="none")
    """

    def __init__(self, app: ASGIApp, *, host: str = LOOPBACK, port: int = 0) -> None:
        self._socket, self.url = listen(host, port)
        self._server = uvicorn.Server(uvicorn.Config(app, **_OPTIONS))
        self._thread = threading.Thread(target=self._serve, name="harmony-py-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise HarmonyError("the server did not start; its log says why")
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _serve(self) -> None:
        with self._socket:
            self._server.run(sockets=[self._socket])
