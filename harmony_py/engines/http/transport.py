"""One request and its streamed answer: timeouts, and another attempt where nothing has come yet."""

from __future__ import annotations

import http.client
import random
import ssl
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from harmony_py.engines.http.lines import excerpt

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator, Iterator, Mapping

BUSY: Final = frozenset({429, 500, 502, 503, 504})
"""Answers after which the same request may well succeed."""

LONGEST_WAIT: Final = 30.0
"""Seconds that a server may ask to be left alone before the next attempt."""

_AT_ONCE: Final = 65_536
_OF_AN_ERROR: Final = 4_096


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, in seconds, and how often to try."""

    connect: float = 10.0
    first_byte: float = 600.0
    """Until the answer begins; a long prompt takes its time."""
    stall: float = 60.0
    """Between two pieces of the answer."""
    total: float | None = None
    """For the whole answer, from its first byte."""
    attempts: int = 3
    """Tries in all. None is made once anything of an answer has come."""
    backoff: float = 0.5
    """Before the second try; twice as long before each further one."""


class TransportError(Exception):
    """No answer, or the rest of it, can be had; the text says why."""

    def __init__(self, reason: str, *, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.again = again
        """Another attempt makes sense."""
        self.wait = wait
        """Seconds that the server wants to be left alone."""


class Server(NamedTuple):
    """Where requests go, and how."""

    url: str
    headers: Mapping[str, str]
    patience: Patience
    context: ssl.SSLContext | None = None


def post(
    server: Server, path: str, body: bytes, content_types: tuple[str, ...]
) -> Generator[bytes, None, None]:
    """The answer's bytes as they come. Closing the iterator closes the connection, which ends the request.

    `TransportError` for everything that goes wrong. As long as no byte of the answer has come, it is tried
    again.
    """
    for attempt in range(1, server.patience.attempts + 1):
        begun = False
        try:
            with closing(_once(server, path, body, content_types)) as pieces:
                for piece in pieces:
                    begun = True
                    yield piece
            return
        except TransportError as error:
            if begun or not error.again or attempt >= server.patience.attempts:
                tries = f" (tried {attempt} times)" if attempt > 1 else ""
                raise TransportError(f"{error}{tries}") from error
            pause = server.patience.backoff * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
            time.sleep(max(pause, min(error.wait, LONGEST_WAIT)))


def _once(
    server: Server, path: str, body: bytes, content_types: tuple[str, ...]
) -> Generator[bytes, None, None]:
    connection = _connection(server)
    try:
        sock = _connected(connection, server.patience)
        response = _answer(connection, sock, server, path, body)
        with closing(response):
            _check(response, content_types)
            yield from _pieces(response, sock, server.patience)
    finally:
        connection.close()


def _connection(server: Server) -> http.client.HTTPConnection:
    url = urlsplit(server.url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise TransportError(f"{server.url!r} is no http or https address")
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname, url.port, timeout=server.patience.connect)
    context = server.context or ssl.create_default_context()
    return http.client.HTTPSConnection(
        url.hostname, url.port, timeout=server.patience.connect, context=context
    )


def _connected(connection: http.client.HTTPConnection, patience: Patience) -> socket.socket:
    try:
        connection.connect()
    except TimeoutError:
        raise TransportError(f"no connection within {patience.connect} seconds", again=True) from None
    except ssl.SSLCertVerificationError as error:
        raise TransportError(f"the certificate is not trusted: {error.verify_message}") from None
    except OSError as error:
        raise TransportError(f"no connection: {error}", again=True) from None
    sock = connection.sock
    assert sock is not None  # connected
    sock.settimeout(patience.first_byte)
    return sock  # type: ignore[no-any-return, unused-ignore]


def _answer(
    connection: http.client.HTTPConnection, sock: socket.socket, server: Server, path: str, body: bytes
) -> http.client.HTTPResponse:
    target = urlsplit(server.url).path.rstrip("/") + path
    try:
        connection.request("POST", target, body, {"Content-Type": "application/json", **server.headers})
        response = connection.getresponse()
    except TimeoutError:
        raise TransportError(f"no answer within {server.patience.first_byte} seconds") from None
    except (OSError, http.client.HTTPException) as error:
        raise TransportError(f"no answer: {_named(error)}", again=True) from None
    sock.settimeout(server.patience.stall)
    return response


def _check(response: http.client.HTTPResponse, content_types: tuple[str, ...]) -> None:
    kind = (response.headers.get_content_type() or "").lower()
    if response.status == 200 and kind in content_types:
        return
    try:
        said = excerpt(response.read(_OF_AN_ERROR))
    except (OSError, http.client.HTTPException) as error:
        said = f"nothing that could be read ({_named(error)})"
    if response.status == 200:
        expected = " or ".join(content_types)
        raise TransportError(f"answered with {excerpt(kind)}, expected {expected}: {said}")
    reason = f"status {response.status}: {said}"
    raise TransportError(reason, again=response.status in BUSY, wait=_retry_after(response))


def _retry_after(response: http.client.HTTPResponse) -> float:
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0.0


def _pieces(response: http.client.HTTPResponse, sock: socket.socket, patience: Patience) -> Iterator[bytes]:
    deadline = None if patience.total is None else time.monotonic() + patience.total
    while True:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TransportError(f"not finished within {patience.total} seconds")
            sock.settimeout(min(patience.stall, left))
        try:
            piece = response.read1(_AT_ONCE)
        except TimeoutError:
            if deadline is not None and time.monotonic() >= deadline:
                raise TransportError(f"not finished within {patience.total} seconds") from None
            raise TransportError(f"nothing came for {patience.stall} seconds") from None
        except (OSError, http.client.HTTPException) as error:
            raise TransportError(f"the connection broke: {_named(error)}", again=True) from None
        if not piece:
            return
        yield piece


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {excerpt(str(error))[1:-1]}"
