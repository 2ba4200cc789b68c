"""The page on this machine: the standard library's server, for nobody but who knows the address.

It listens on the loopback interface only. Its paths begin with a word drawn by chance, so that other users of
the machine cannot guess them; the `Host` it is asked for must be its own, so that no name that somebody
points at this machine leads here; and what is posted must say that it comes from the page itself.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, Final

from harmony_py.errors import HarmonyError
from harmony_py.inspector.answer import answer
from harmony_py.inspector.document import document
from harmony_py.inspector.examples import schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from harmony_py.inspector.examples import Example

LOOPBACK: Final = "127.0.0.1"
MOST_BYTES: Final = 2_000_000
"""Of a question."""

PATIENCE: Final = 20
"""Seconds that a connection may be silent."""

AT_ONCE: Final = 4
"""Questions answered at the same time; others wait."""


class Inspector:
    """The page, served from a thread of its own while `with Inspector(examples) as inspector:` lasts."""

    def __init__(self, examples: Sequence[Example], port: int = 0) -> None:
        """`port` 0 takes a free one. `HarmonyError` if the port cannot be had."""
        self._secret = secrets.token_urlsafe(24)
        self._page = document(examples, schemas())
        handler = type("_Handler", (_Handler,), {"inspector": self})
        try:
            self._server = _Server((LOOPBACK, port), handler)
        except (OSError, OverflowError) as problem:
            raise HarmonyError(f"port {port}: {problem}") from None
        self.port: int = self._server.server_address[1]
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    @property
    def url(self) -> str:
        """Where the page is; the secret is part of it."""
        return f"http://{LOOPBACK}:{self.port}/{self._secret}/"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # -- what a request gets -------------------------------------------------------------------------------

    def is_own(self, host: str | None) -> bool:
        """Whether a `Host` is this server's own."""
        return host in (f"{LOOPBACK}:{self.port}", f"localhost:{self.port}")

    def is_known(self, path: str, tail: str) -> bool:
        """Whether `path` is the secret one with this tail."""
        return hmac.compare_digest(path.encode(), f"/{self._secret}/{tail}".encode())

    def page(self) -> tuple[bytes, str]:
        """The document and its policy; over the network nobody may put it into a frame."""
        return self._page.html.encode(), f"{self._page.policy}; frame-ancestors 'none'"

    def answered(self, question: Any) -> bytes:
        with self._turns:
            return json.dumps(answer(question)).encode()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    """Of the base class's five, a busy machine drops some, and whoever was dropped waits for seconds."""

    def server_bind(self) -> None:
        # The base class asks the network for the machine's name, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no news; anything else is told as usual."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _Handler(BaseHTTPRequestHandler):
    inspector: Inspector
    server_version = "harmony-py"
    sys_version = ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        self._respond(self._get)

    def do_POST(self) -> None:
        self._respond(self._post)

    def _respond(self, method: Any) -> None:
        try:
            if not self.inspector.is_own(self.headers.get("Host")):
                raise _RefusedError(HTTPStatus.FORBIDDEN, "this server goes by another name")
            method()
        except _RefusedError as refusal:
            self._send(refusal.status, json.dumps({"error": refusal.reason}).encode(), "application/json")

    def _get(self) -> None:
        if not self.inspector.is_known(self.path, ""):
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")
        html, policy = self.inspector.page()
        self._send(HTTPStatus.OK, html, "text/html; charset=utf-8", policy)

    def _post(self) -> None:
        if not self.inspector.is_known(self.path, "answer"):
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")
        if self.headers.get("Origin") != f"http://{self.headers.get('Host')}":
            raise _RefusedError(HTTPStatus.FORBIDDEN, "only the page itself may ask")
        if self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a question is application/json")
        self._send(HTTPStatus.OK, self.inspector.answered(self._question()), "application/json")

    def _question(self) -> Any:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "a question says how long it is")
        if len(length) > len(str(MOST_BYTES)) or int(length) > MOST_BYTES:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a question has {MOST_BYTES:,} bytes at the most"
            )
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the question is no JSON") from None

    def _send(self, status: HTTPStatus, body: bytes, kind: str, policy: str = "default-src 'none'") -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class has it
        """Nothing: the paths are secret, and what is asked is nobody's business."""
