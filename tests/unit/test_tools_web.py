"""Pages of the web: fetched from servers on the loopback that do what they should not."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from harmony_py.errors import ToolError
from harmony_py.tools.browser import Browser, Limits, WebBackend
from harmony_py.tools.browser.fetching import fetch
from tests.browsed_pages import read

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = Limits(seconds=20, size=5000, redirects=2)
QUICK = Limits(seconds=0.5, size=5000, redirects=2)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/to/"):
            return self.answer(b"", status=302, Location=self.path[3:].replace("/http:/", "http://"))
        if path == "/loop":
            return self.answer(b"", status=302, Location="/loop")
        if path == "/nowhere":
            return self.answer(b"", status=302)
        if path == "/out":
            return self.answer(b"", status=301, Location="file:///etc/passwd")
        if path == "/drip":
            return self.drip()
        if path == "/drip-head":
            return self.drip_head()
        return self.answer(*PAGES.get(path, (b"no", "text/html", 404)))

    def answer(self, body: bytes, kind: str = "text/html", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if self.path == "/gzip":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body) + (10 if self.path == "/short" else 0)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"drip ")
            time.sleep(0.05)

    def drip_head(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(100):
            self.wfile.write(b"X")
            time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        pass


PAGES: dict[str, tuple[bytes, str, int]] = {
    "/": (b"<title>Home</title><p>All about <a href=docs/a>docs</a>.", "text/html", 200),
    "/docs/a": ("<p>Zürich".encode(), "text/html; charset=utf-8", 200),
    "/docs/latin": ("<p>Zürich".encode("latin-1"), "text/html; charset=ISO-8859-1", 200),
    "/docs/meta": ("<meta charset='shift_jis'><p>日本".encode("shift_jis"), "text/html", 200),
    "/docs/odd": (b"<p>\\x41", "text/html; charset=unicode_escape", 200),
    "/docs/unknown": (b"<p>A\xff", "text/html; charset=klingon", 200),
    "/docs/plain": (b"<p>", "text/plain", 200),
    "/docs/big": (b"<p>" + b"a " * 10_000, "text/html", 200),
    "/image": (b"GIF", "image/gif", 200),
    "/gzip": (gzip.compress(b"<p>a"), "text/html", 200),
    "/short": (b"<p>a", "text/html", 200),
    "/error": (b"<p>a", "text/html", 500),
}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the client hung up


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def backend(site: str, limits: Limits = SMALL) -> WebBackend:
    return WebBackend([f"{site}/"], [site], limits=limits, private=True)


def test_search_open_and_follow(site: str) -> None:
    browsing = Browser(WebBackend([f"{site}/", f"{site}/docs/a#part"], private=True))
    host = site.removeprefix("http://")
    assert read(browsing.search("docs")).links == [(0, "Home", host)]
    assert read(browsing.open(0)).links == [(0, "docs", None)]
    assert read(browsing.open(0)).lines[-1] == "Zürich"
    assert browsing.cited == {1: f"{site}/", 2: f"{site}/docs/a"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/docs/a", "Zürich"),
        ("/docs/latin", "Zürich"),
        ("/docs/meta", "日本"),
        ("/docs/odd", "\\x41"),
        ("/docs/unknown", "A�"),
        ("/docs/plain", "<p>"),
        ("/to/docs/a", "Zürich"),
        ("/to/to/docs/a?x=1", "Zürich"),
    ],
)
def test_what_is_fetched(site: str, path: str, text: str) -> None:
    assert read(Browser(backend(site)).open(f"{site}{path}")).lines[-1] == text


def test_a_large_page_is_cut_off(site: str) -> None:
    document = backend(site).fetch(f"{site}/docs/big")
    assert document.content == "<p>" + "a " * 2498 + "a\n[cut off after 5000 bytes]"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/missing", "the server answered with status 404"),
        ("/error", "the server answered with status 500"),
        ("/image", "expected a page or text, found 'image/gif'"),
        ("/gzip", "the server compresses what it sends"),
        ("/short", "the connection broke"),
        ("/loop", "redirected more than 2 times"),
        ("/to/to/to/to/docs/a", "redirected more than 2 times"),
        ("/nowhere", "redirected more than 2 times"),
        ("/out", "file:///etc/passwd is not among the pages that may be opened"),
        ("/to/http:/localhost:1/x", "http://localhost:1/x is not among the pages"),
        ("/drip", "not fetched within 0.5 seconds"),
        ("/drip-head", "not fetched within 0.5 seconds"),
        ("/a/../image", "expected an address without '..'"),
        ("/a/%2e%2E/image", "expected an address without '..'"),
    ],
)
def test_what_goes_wrong_is_told(site: str, path: str, told: str) -> None:
    before = time.monotonic()
    with pytest.raises(ToolError) as caught:
        Browser(backend(site, QUICK if "drip" in path else SMALL)).open(f"{site}{path}")
    assert told in str(caught.value)
    assert time.monotonic() - before < 3


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://127.0.0.1/x", "is not among the pages"),
        ("http://", "is not among the pages"),
        ("http://[", "is no address"),
        ("docs", "is not among the pages"),
        ("http://example.org/docs", "is not among the pages"),
        ("http://example.org/document/", "is not among the pages"),
        ("https://example.org/docs/", "is not among the pages"),
        ("http://example.org:81/docs/", "is not among the pages"),
        ("http://user@example.org/docs/", "is not among the pages"),
        ("http://example.org.evil/docs/", "is not among the pages"),
    ],
)
def test_only_what_is_allowed_is_opened(url: str, told: str) -> None:
    with pytest.raises(ToolError, match=told.replace("[", "\\[")):
        WebBackend(below=["http://example.org/docs/"]).fetch(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "192.168.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fe80::1%lo",
        "fc00::1",
    ],
)
def test_private_networks_are_out_of_reach(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    asked = []

    def resolve(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        return [(0, 0, 0, "", ("93.184.215.14", port)), (0, 0, 0, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ToolError, match="addresses of private networks are not fetched"):
        WebBackend(["http://inner.example/"]).fetch("http://inner.example/")
    assert asked == ["inner.example"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "http:///x",
        "http://a@x/",
        "http://x:99999/",
        "http://x:y/",
        f"http://{'a' * 64}/",
        "http://xn--\ud800/",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ToolError):
        fetch(url, lambda _: None, QUICK, private=True)


def test_a_server_without_a_certificate_is_not_believed(site: str) -> None:
    address = site.replace("http:", "https:") + "/"
    with pytest.raises(ToolError, match="cannot be fetched: SSLError"):
        WebBackend([address], private=True).fetch(address)


def test_a_search_where_no_page_can_be_read_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    browsing = Browser(WebBackend([f"http://127.0.0.1:{port}/"], private=True))
    with pytest.raises(ToolError, match="cannot be fetched: ConnectionRefusedError"):
        browsing.search("x")
