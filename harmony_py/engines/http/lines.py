"""Bytes as they come to the JSON objects that a server streams: server-sent events, or one object a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST: Final = 4 * 2**20
"""Bytes of one event. A server that sends more has lost its way, and would take our memory with it."""

DONE: Final = "[DONE]"


class StreamError(Exception):
    """What came is no stream of JSON objects; the text says why."""


def objects(pieces: Iterable[bytes], *, events: bool) -> Iterator[dict[str, Any]]:
    """The objects in `pieces`, which may be cut anywhere, up to `[DONE]` or the end.

    With `events` they stand in the data of server-sent events, else one on each line. `StreamError` on what
    is no object, on a line beyond `LONGEST`, and on text that is not UTF-8.
    """
    for text in _events(_lines(pieces)) if events else _lines(pieces):
        if text == DONE:
            return
        if text:
            yield _object(text)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StreamError(f"expected a JSON object, got {excerpt(text)} ({error})") from None
    if not isinstance(found, dict):
        raise StreamError(f"expected a JSON object, got {excerpt(text)}")
    return found


def _events(lines: Iterable[str]) -> Iterator[str]:
    """The data of each event. Comments, names and numbers of events say nothing here."""
    data: list[str] = []
    size = 0
    for line in lines:
        field, _, value = line.partition(":")
        if not line:
            yield "\n".join(data)
            data, size = [], 0
        elif field == "data":
            data.append(value.removeprefix(" "))
            size += len(value)
            if size > LONGEST:
                raise StreamError(f"an event is longer than {LONGEST} characters")
        elif field == "error":
            # llama-server's way of saying so, in some versions.
            data.append(f'{{"error": {value}}}')
    # The standard drops an event that no blank line ends; not every server ends its last one.
    yield "\n".join(data)


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """The lines, whatever ends them: decoded whole, so that a character may be cut between pieces."""
    rest = bytearray()
    for piece in pieces:
        # The end of what is there already has been looked through.
        looked = len(rest)
        rest += piece
        start = 0
        while (end := rest.find(b"\n", max(start, looked))) >= 0:
            yield _decoded(rest[start:end])
            start = end + 1
        del rest[:start]
        if len(rest) > LONGEST:
            raise StreamError(
                f"a line is longer than {LONGEST} bytes; it begins {excerpt(bytes(rest[:200]))}"
            )
    if rest:
        yield _decoded(rest)


def _decoded(line: bytearray) -> str:
    try:
        return bytes(line).decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError:
        raise StreamError(f"expected UTF-8, got {excerpt(bytes(line))}") from None


def excerpt(text: str | bytes) -> str:
    """The beginning of what a server sent, in a form that no terminal obeys."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return ascii(text if len(text) <= 200 else text[:200] + "...")
