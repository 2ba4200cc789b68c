"""The citations that a model puts into its text, turned into links: whole or as the text comes.

    The sky is blue【3†L9-L11】.   ->   The sky is blue ([example.org](https://example.org/sky)) .

The number is that of a display of the browser tool. What is behind it is for whoever holds the pages to say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_CITATION: Final = re.compile(r"【(\d{1,9})†[^【】†]{1,200}(?:†[^【】†]{0,200})?】")
_BEGINNING: Final = re.compile(r"【(?:\d{1,9}(?:†(?:[^【】†]{1,200}(?:†[^【】†]{0,200})?)?)?)?")
"""What may still become a citation. The bounds keep a stream from being held back for good."""


class Citation(NamedTuple):
    """A link in a text, and whose it is."""

    start: int
    end: int
    title: str
    url: str

    def to_dict(self) -> dict[str, Any]:
        """As OpenAI's APIs annotate a text."""
        where = {"start_index": self.start, "end_index": self.end}
        return {"type": "url_citation", **where, "title": self.title, "url": self.url}


class Cited(NamedTuple):
    text: str
    citations: tuple[Citation, ...] = ()


def normalize_citations(text: str, pages: Mapping[int, str]) -> Cited:
    """The text with links for citations, and where they are. `pages` has the address for each number.

    Citations of other numbers stay as they are.
    """
    stream = CitationStream(pages)
    first, last = stream.feed(text), stream.finish()
    return Cited(first.text + last.text, first.citations + last.citations)


class CitationStream:
    """`normalize_citations` for a text that comes in pieces, however it is cut.

    A piece that may be the beginning of a citation is held back until that is clear. `pages` is asked when a
    citation is whole: it may grow meanwhile.
    """

    def __init__(self, pages: Mapping[int, str]) -> None:
        self._pages = pages
        self._held = ""
        self._length = 0

    def feed(self, piece: str) -> Cited:
        """What is clear now. Places are those in the whole of the new text."""
        text = self._held + piece
        last = text.rfind("【")
        if last < 0 or not _BEGINNING.fullmatch(text, last):
            last = len(text)
        self._held = text[last:]
        return self._linked(text[:last])

    def finish(self) -> Cited:
        """What was held back: it is no citation."""
        text, self._held = self._held, ""
        return self._linked(text)

    def _linked(self, text: str) -> Cited:
        made: list[str] = []
        citations: list[Citation] = []
        at = 0
        for match in _CITATION.finditer(text):
            url = self._pages.get(int(match[1]))
            if not url:
                continue
            made.append(text[at : match.start()])
            self._length += len(made[-1])
            title = _title(url)
            made.append(f" ([{title}]({_quoted(url)})) ")
            citations.append(Citation(self._length, self._length + len(made[-1]), title, url))
            self._length += len(made[-1])
            at = match.end()
        made.append(text[at:])
        self._length += len(made[-1])
        return Cited("".join(made), tuple(citations))


def _title(url: str) -> str:
    """The domain; of a file its name. Nothing that would end the link's text."""
    try:
        parts = urlsplit(url)
        name = parts.hostname or parts.path.rstrip("/").rpartition("/")[2] or url
    except ValueError:
        name = url
    return " ".join(re.sub(r"[\[\]\\\x00-\x1f\x7f]", " ", name).split())


def _quoted(url: str) -> str:
    """The address with nothing in it that would end the link."""
    return quote(url, safe="!#$%&'*+,/:;=?@~", errors="replace")
