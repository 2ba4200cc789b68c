"""One document from the web, with nothing but the standard library, from a server that nobody trusts."""

from __future__ import annotations

import codecs
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urljoin, urlsplit

from harmony_py.errors import ToolError
from harmony_py.tools.browser.backend import KINDS, Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from urllib.parse import SplitResult

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHARSETS: Final = frozenset(
    {
        "ascii",
        "big5",
        "euc_jp",
        "euc_kr",
        "gb18030",
        "gb2312",
        "gbk",
        "koi8-r",
        "shift_jis",
        "utf-16",
        "utf-8",
    }
    | {f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))}
    | {f"cp125{part}" for part in range(9)}
)
"""Python knows more, some of which are slow or no charsets."""
_META: Final = re.compile(rb"""<meta[^>]{1,200}charset=["']?([\w-]{1,40})""", re.IGNORECASE)

_TRANSLATED: Final = [ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")]
"""Addresses of the new internet that stand for those of the old one, private ones too."""


@dataclass(frozen=True)
class Limits:
    seconds: float = 20.0
    """From the first connection to the last byte, redirections included."""
    size: int = 2**20
    """Bytes of a document. It is cut off there."""
    redirects: int = 5


def fetch(url: str, check: Callable[[str], None], limits: Limits, *, private: bool = False) -> Document:
    """The document at `url` or where that leads; `check` is called with each address, and may refuse it.

    `ToolError` for whatever goes wrong. Unless `private`, the server's own network is out of reach: names
    are looked up once, and the connection goes to the address that was judged.
    """
    deadline = time.monotonic() + limits.seconds
    for _ in range(limits.redirects + 1):
        check(url)
        try:
            with _answer(url, deadline, private) as response:
                if response.status not in _REDIRECTS:
                    return _document(url, response, limits)
                location = response.headers.get("Location", "")
        except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
            if time.monotonic() >= deadline:
                raise ToolError(f"{url}: not fetched within {limits.seconds:g} seconds") from None
            if isinstance(error, ToolError):
                raise
            raise ToolError(f"{url}: cannot be fetched: {type(error).__name__}: {error}") from None
        url = urljoin(url, location)
    raise ToolError(f"{url}: redirected more than {limits.redirects} times")


@contextmanager
def _answer(url: str, deadline: float, private: bool) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ToolError(f"{url}: expected an http or https address without a user name")
    host = parts.hostname.encode("idna").decode()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _address(host, port, private)
    left = max(0.01, deadline - time.monotonic())
    with closing(socket.create_connection((address, port), timeout=left)) as plain:
        # A server that sends a byte now and then would never run into a timeout of the socket.
        timer = threading.Timer(max(0.01, deadline - time.monotonic()), _shut, [plain])
        timer.daemon = True
        timer.start()
        try:
            with closing(_connection(parts, host, port, plain)) as connection:
                connection.request("GET", _target(parts), headers=_headers())
                with closing(connection.getresponse()) as response:
                    yield response
                    if time.monotonic() >= deadline:
                        raise TimeoutError
        finally:
            timer.cancel()


def _shut(plain: socket.socket) -> None:
    try:
        plain.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed already


def _connection(parts: SplitResult, host: str, port: int, plain: socket.socket) -> http.client.HTTPConnection:
    """A connection by way of the socket, which goes to an address that was looked at."""
    connection = http.client.HTTPConnection(host, port)
    connection.sock = plain
    if parts.scheme == "https":
        context = ssl.create_default_context()
        # The duplicate is wrapped, so that the first can be shut whatever the other is doing.
        connection.sock = context.wrap_socket(plain.dup(), server_hostname=host)
    return connection


def _address(host: str, port: int, private: bool) -> str:
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not private and not all(_is_public(address) for address in found):
        raise ToolError(f"{host}: addresses of private networks are not fetched")
    return found[0]


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return _is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast


def _target(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe="/%:=&?~+!$,;'@()*[]")


def _headers() -> dict[str, str]:
    kinds = ", ".join(sorted(KINDS))
    return {"Accept": kinds, "Accept-Encoding": "identity", "User-Agent": "harmony-py", "Connection": "close"}


def _document(url: str, response: http.client.HTTPResponse, limits: Limits) -> Document:
    if response.status != 200:
        raise ToolError(f"{url}: the server answered with status {response.status}")
    media_type = response.headers.get_content_type().lower()
    kind = KINDS.get(media_type)
    if kind is None:
        raise ToolError(f"{url}: expected a page or text, found {media_type!r}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ToolError(f"{url}: the server compresses what it sends, without being asked to")
    content = bytearray()
    while len(content) <= limits.size and (piece := response.read1(65_536)):
        content += piece
    if len(content) <= limits.size and response.length:
        raise ToolError(f"{url}: the connection broke")
    charset = response.headers.get_content_charset() or _in_meta(content) or "utf-8"
    text = bytes(content[: limits.size]).decode(_known(charset), errors="replace")
    cut = f"\n[cut off after {limits.size} bytes]" if len(content) > limits.size else ""
    return Document(url, text + cut, kind)


def _in_meta(content: bytearray) -> str | None:
    found = _META.search(content[:2048])
    return found[1].decode("ascii", errors="replace") if found else None


def _known(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"
