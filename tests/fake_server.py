"""A server on the loopback that does, byte for byte, what a test tells it to."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SSE = "text/event-stream; charset=utf-8"


class Pause(NamedTuple):
    """Nothing is sent for some seconds."""

    seconds: float


class Answer(NamedTuple):
    """What one request gets. The connection is closed behind the last piece, in an orderly way or not."""

    pieces: list[bytes | Pause]
    status: str = "200 OK"
    content_type: str | None = SSE
    headers: tuple[str, ...] = ()
    chunked: bool = False
    """Each piece is an HTTP chunk; an orderly end says that it is one."""
    orderly: bool = True
    silent: bool = False
    """Not even a status line."""


class FakeServer:
    """Answers one request after another with the answers it is given."""

    def __init__(self, answers: list[Answer]) -> None:
        self._answers = answers
        self.requests: list[dict[str, Any]] = []
        """Path, headers and JSON body of each request."""
        self.hung_up = threading.Event()
        """A client closed the connection before everything was sent."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(20)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # Closing alone does not wake who waits for a connection.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed: nobody asks any more
                return
            with connection:
                connection.settimeout(20)
                try:
                    self.requests.append(_request(connection))
                    if not answer.silent:
                        _send(connection, answer)
                except (BrokenPipeError, ConnectionResetError):
                    self.hung_up.set()


def _request(connection: socket.socket) -> dict[str, Any]:
    with connection.makefile("rb") as file:
        path = file.readline().decode().split(" ")[1]
        headers = {}
        while line := file.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return {
            "path": path,
            "headers": headers,
            "body": json.loads(file.read(int(headers["content-length"]))),
        }


def _send(connection: socket.socket, answer: Answer) -> None:
    head = [f"HTTP/1.1 {answer.status}", *answer.headers]
    if answer.content_type is not None:
        head.append(f"Content-Type: {answer.content_type}")
    head.append("Transfer-Encoding: chunked" if answer.chunked else "Connection: close")
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    for piece in answer.pieces:
        if isinstance(piece, Pause):
            time.sleep(piece.seconds)
        elif answer.chunked:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            connection.sendall(piece)
    if answer.chunked and answer.orderly:
        connection.sendall(b"0\r\n\r\n")


@contextmanager
def serving(*answers: Answer) -> Iterator[FakeServer]:
    """A server for these answers, gone behind the block."""
    server = FakeServer(list(answers))
    try:
        yield server
    finally:
        server.close()


def event(data: object) -> bytes:
    """One server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


DONE = event(b"[DONE]")
