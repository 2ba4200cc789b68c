"""Given pages of the web, and nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urlsplit

from harmony_py.errors import ToolError
from harmony_py.tools.browser.backend import Document, Hit
from harmony_py.tools.browser.fetching import Limits, fetch
from harmony_py.tools.browser.page import without_links
from harmony_py.tools.browser.ranking import Text, passage, ranked
from harmony_py.tools.browser.reading import page_of

if TYPE_CHECKING:
    from collections.abc import Iterable


class WebBackend:
    """Searches `pages`, and opens them and what is `below` certain addresses, redirections included.

    An address ends where the next one's path may go on: `https://example.org/docs/` has all in the folder.
    Without `private`, no page of a private network is fetched, whoever's name leads there.
    """

    def __init__(
        self,
        pages: Iterable[str] = (),
        below: Iterable[str] = (),
        *,
        limits: Limits | None = None,
        private: bool = False,
    ) -> None:
        self._pages = list(dict.fromkeys(urldefrag(page).url for page in pages))
        self._below = [_place(prefix) for prefix in below]
        self._limits = limits or Limits()
        self._private = private
        self._texts: dict[str, Text] = {}

    def search(self, query: str, topn: int) -> list[Hit]:
        failures = [error for page in self._pages if (error := self._read(page))]
        if failures and not self._texts:
            raise failures[0]
        known = list(self._texts.items())
        texts = [text for _, text in known]
        return [
            Hit(known[i][0], texts[i].title, passage(query, texts[i])) for i in ranked(query, texts)[:topn]
        ]

    def fetch(self, url: str) -> Document:
        return fetch(urldefrag(url).url, self._check, self._limits, private=self._private)

    def _read(self, page: str) -> ToolError | None:
        """Read a page that was not read before; why not, if it cannot be read now."""
        if page not in self._texts:
            try:
                read = page_of(self.fetch(page))
            except ToolError as error:
                return error
            self._texts[page] = Text.of(read.title, tuple(without_links(read.lines)[2:]))
        return None

    def _check(self, url: str) -> None:
        url = urldefrag(url).url
        if url in self._pages:
            return
        place, path = _place(url)
        if ".." in unquote(path).replace("\\", "/").split("/"):
            raise ToolError(f"{url}: expected an address without '..'")
        for allowed, prefix in self._below:
            if place == allowed and (path == prefix or path.startswith(prefix.rstrip("/") + "/")):
                return
        raise ToolError(f"{url} is not among the pages that may be opened")


def _place(url: str) -> tuple[tuple[str, str], str]:
    """Scheme and host, and the path."""
    try:
        parts = urlsplit(url)
        default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
        return (parts.scheme, parts.netloc.lower().removesuffix(default)), parts.path or "/"
    except ValueError as error:
        raise ToolError(f"{url!r} is no address: {error}") from None
