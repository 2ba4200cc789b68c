"""The browser: displays that the model asks for one after the other, each with a number."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from harmony_py.chat import ToolNamespaceConfig
from harmony_py.errors import ToolError
from harmony_py.tools.browser.page import Links, Page, without_links, wrapped
from harmony_py.tools.browser.reading import page_of
from harmony_py.tools.browser.text import clean, one_line
from harmony_py.tools.browser.view import display
from harmony_py.tools.calls import whole_number, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.tools.browser.backend import Backend, Hit

MOST_HITS: Final = 20
MOST_FOUND: Final = 50
_FOUND_LINES: Final = 4
_LONGEST_PATTERN: Final = 200
_LONGEST_ERROR: Final = 1000
_LONGEST_CONTENT: Final = 2**21
"""Characters of a document, whatever the backend gives."""
_SOURCE: Final = "view-source:"


class Browser:
    """The namespace `browser` over a backend. It keeps the pages that were shown: one for each conversation.

    Whatever the pages hold, all links and citations in a display are the browser's own, each line but the
    first two begins with its number, and a display has about `tokens` tokens unless more are asked for. The
    backend is given `seconds` for each call.
    """

    def __init__(self, backend: Backend, *, tokens: int = 1024, seconds: float = 30.0) -> None:
        self._backend = backend
        self._tokens = tokens
        self._seconds = seconds
        self._shown: list[Page] = []
        self._fetched: dict[str, Page] = {}
        self.cited: dict[int, str] = {}
        """For `normalize_citations`: the address that a citation of each display means."""

    @property
    def namespace(self) -> ToolNamespaceConfig:
        """For `SystemContent.with_tools`."""
        return ToolNamespaceConfig.browser()

    @property
    def callables(self) -> dict[str, Callable[..., str]]:
        """For `Chat`."""
        return {"browser.search": self.search, "browser.open": self.open, "browser.find": self.find}

    def search(self, query: str, topn: Any = 10, source: Any = None) -> str:
        """Show the results of a search. There is one source of pages, whatever `source` says."""
        topn = min(max(1, whole_number("topn", topn)), MOST_HITS)
        hits = self._asked("the search", self._found_by_backend, str(query), topn)
        if not hits:
            raise ToolError(f"No results for {one_line(str(query), 200)!r}.")
        return self._show(_results(str(query), hits), 0, -1)

    def open(
        self,
        id: Any = -1,  # noqa: A002
        cursor: Any = -1,
        loc: Any = -1,
        num_lines: Any = -1,
        view_source: Any = False,
        source: Any = None,
    ) -> str:
        """Show a page: the one behind a link, at an address, or one already shown, from another line on."""
        loc, num_lines = whole_number("loc", loc), whole_number("num_lines", num_lines)
        if isinstance(id, str) and not id.strip().isdecimal():
            return self._show(self._page(id.strip(), view_source is True), max(loc, 0), num_lines)
        page = self._at(cursor)
        link = whole_number("id", id)
        if link < 0:
            page = self._page(page.cited, True) if view_source is True else page
        elif link >= len(page.found_at if page.found_in else page.links):
            raise ToolError(f"Invalid link id `{link}`.")
        elif page.found_in:
            # Some lines above what was found, for what it is about.
            loc = loc if loc >= 0 else max(page.found_at[link] - 4, 0)
            page = page.found_in
        else:
            page = self._page(page.links[link], view_source is True)
        return self._show(page, max(loc, 0), num_lines)

    def find(self, pattern: str, cursor: Any = -1) -> str:
        """Show where words stand in a page: upper or lower case, and where lines end, make no difference."""
        page = self._at(cursor)
        if not page.can_be_searched:
            raise ToolError("Cannot run `find` on search results page or find results page")
        words = str(pattern).split()
        if not words or len(str(pattern)) > _LONGEST_PATTERN:
            raise ToolError(f"`pattern`: expected a text of 1 to {_LONGEST_PATTERN} characters")
        return self._show(_finds(str(pattern), words, page), 0, -1)

    def _at(self, cursor: Any) -> Page:
        cursor = whole_number("cursor", cursor)
        if not self._shown:
            raise ToolError("No pages to access!")
        if cursor >= len(self._shown):
            raise ToolError(f"Cursor `{cursor}` was not shown; the last is `{len(self._shown) - 1}`.")
        return self._shown[cursor if cursor >= 0 else -1]

    def _page(self, url: str, as_source: bool) -> Page:
        if url.startswith(_SOURCE):
            url, as_source = url.removeprefix(_SOURCE), True
        key = f"{_SOURCE}{url}" if as_source else url
        if not url:
            raise ToolError("this page has no address to open")
        if key not in self._fetched:
            self._fetched[key] = self._asked("the page", self._read, url, as_source)
        return self._fetched[key]

    def _read(self, url: str, as_source: bool) -> Page:
        document = self._backend.fetch(url)
        document = document._replace(content=document.content[:_LONGEST_CONTENT])
        if not as_source:
            return page_of(document)
        page = page_of(document._replace(kind="text"))
        shown = f"{_SOURCE}{page.url}"
        return Page(shown, page.title, ("", f"URL: {shown}", *page.lines[2:]), cited=page.cited)

    def _found_by_backend(self, query: str, topn: int) -> list[Hit]:
        return list(islice(self._backend.search(query, topn), topn))

    def _asked(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return within(self._seconds, what, function, *arguments)
        except ToolError as error:
            # It may quote an address or a server.
            raise ToolError(clean(str(error))[:_LONGEST_ERROR]) from error

    def _show(self, page: Page, loc: int, num_lines: int) -> str:
        shown = display(page, len(self._shown), loc, num_lines, self._tokens)
        if page.cited:
            self.cited[len(self._shown)] = page.cited
        self._shown.append(page)
        return shown


def _results(query: str, hits: list[Hit]) -> Page:
    links = Links("")
    items = [
        f"  * {links.linked(hit.url, hit.title or hit.url)} {one_line(hit.summary)}".rstrip() for hit in hits
    ]
    text = "\n".join(["", "URL: ", "# Search Results", "", *items])
    return Page("", one_line(query, 300), wrapped(text), tuple(links.urls), can_be_searched=False)


def _finds(pattern: str, words: list[str], page: Page) -> Page:
    lines = without_links(page.lines)
    places = _places(re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE), "\n".join(lines))
    shown = one_line(pattern, 300)
    parts = [
        "\n".join([f"# 【{number}†match at L{place}】", *lines[place : place + _FOUND_LINES]])
        for number, place in enumerate(places)
    ]
    return Page(
        one_line(f"{page.url}/find?pattern={quote(pattern, errors='replace')}"),
        f"Find results for text: `{shown}` in `{page.title}`",
        wrapped("\n\n".join(parts) or f"No `find` results for pattern: `{shown}`"),
        found_in=page,
        found_at=tuple(places),
        cited=page.cited,
        can_be_searched=False,
    )


def _places(pattern: re.Pattern[str], text: str) -> list[int]:
    """The lines with a match, but none that is shown with the one before."""
    places: list[int] = []
    line = at = 0
    for match in pattern.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        if not places or line >= places[-1] + _FOUND_LINES:
            places.append(line)
        if len(places) == MOST_FOUND:
            break
    return places
