"""Documents to pages: HTML, Markdown and plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from harmony_py.tools.browser.markup import Piece, Start, pieces
from harmony_py.tools.browser.page import Links, Page, domain_of, wrapped
from harmony_py.tools.browser.text import clean, one_line

if TYPE_CHECKING:
    from harmony_py.tools.browser.backend import Document

_HIDDEN: Final = frozenset(
    {"head", "math", "script", "style", "svg", "template", "iframe", "noembed", "noframes"}
)
_HEADINGS: Final = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_APART: Final = frozenset(
    {"article", "aside", "blockquote", "dl", "figure", "form", "header", "footer", "main", "nav", "ol", "p"}
    | {"pre", "section", "table", "ul", *_HEADINGS}
)
"""Stand between empty lines."""
_LINES: Final = frozenset(
    {"address", "body", "dd", "div", "dt", "figcaption", "hr", "html", "li", "option", "tr"}
)
_SCRIPTS: Final = {"sup": "^{", "sub": "_{"}

_LONGEST_LABEL: Final = 1000
"""Characters of a link. More is a page where a link was not closed."""

_MARKDOWN_LINK: Final = re.compile(r"(?<!!)\[([^\[\]\n]{1,300})\]\(([^()\s]{1,1000})\)")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")


def page_of(document: Document) -> Page:
    """The page for a document. Whatever is in it, its only links are those in `links`."""
    links = Links(document.url)
    title = document.title
    if document.kind == "html":
        reader = _Reader(links)
        for piece in pieces(document.content):
            reader.take(piece)
        text = reader.text()
        title = title or reader.title
    elif document.kind == "markdown":
        text = _of_markdown(document.content, links)
    else:
        text = clean(document.content)
    url = one_line(document.url)
    shown = one_line(title or "", 300) or one_line(domain_of(document.url)) or url
    text = _EMPTY_LINES.sub("\n\n", text).strip("\n")
    return Page(url, shown, wrapped(f"\nURL: {url}\n{text}"), tuple(links.urls), cited=document.url)


def _of_markdown(source: str, links: Links) -> str:
    made: list[str] = []
    at = 0
    for match in _MARKDOWN_LINK.finditer(source):
        made += [clean(source[at : match.start()]), links.linked(match[2], match[1])]
        at = match.end()
    return "".join([*made, clean(source[at:])])


class _Reader:
    """Tags and text to lines. Keeps counts, not a tree: no page is nested too deep."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._made: list[str] = []
        self._breaks = 0
        self._space = False
        self._hidden: dict[str, int] = {}
        self._preformatted = 0
        self._images = 0
        self._link: tuple[str, list[str]] | None = None
        self._in_title = False
        self.title = ""

    def take(self, piece: Piece) -> None:
        if isinstance(piece, str):
            self._text(piece)
        elif isinstance(piece, Start):
            self._start(piece)
        else:
            self._end(piece.name)

    def text(self) -> str:
        self._close_link()
        return "".join(self._made)

    def _text(self, text: str) -> None:
        if self._in_title:
            self.title = self.title or one_line(text)
        elif not self._hidden:
            self._put(clean(text))

    def _start(self, tag: Start) -> None:
        name = tag.name
        if name == "body":
            self._hidden.clear()  # a head that is not closed ends here
        if name == "title":
            self._in_title = True
        elif name in _HIDDEN:
            self._hidden[name] = self._hidden.get(name, 0) + 1
        elif self._hidden:
            return
        elif name == "a":
            self._close_link()
            if "href" in tag.attributes:
                self._link = (tag.attributes["href"], [])
        elif name == "img":
            self._image(tag.attributes)
        else:
            self._layout(name)

    def _layout(self, name: str) -> None:
        if name == "br":
            self._break(1)
        elif name in _SCRIPTS:
            self._put(_SCRIPTS[name])
        elif name in ("td", "th"):
            self._space = True
        elif name in _APART or name in _LINES:
            self._break(2 if name in _APART else 1)
            self._preformatted += name == "pre"
            self._prefix(_HEADINGS.get(name, "  * " if name == "li" else ""))

    def _end(self, name: str) -> None:
        if name == "title":
            self._in_title = False
        elif name in self._hidden:
            self._hidden[name] -= 1
            if not self._hidden[name]:
                del self._hidden[name]
        elif self._hidden:
            return
        elif name == "a":
            self._close_link()
        elif name in _SCRIPTS:
            self._put("}")
        elif name in _APART or name in _LINES:
            self._preformatted = max(0, self._preformatted - (name == "pre"))
            self._break(2 if name in _APART else 1)

    def _image(self, attributes: dict[str, str]) -> None:
        name = one_line(attributes.get("alt") or attributes.get("title") or "", 300)
        self._put(f"[Image {self._images}: {name}]" if name else f"[Image {self._images}]")
        self._images += 1

    def _close_link(self) -> None:
        if self._link:
            (address, text), self._link = self._link, None
            whole = "".join(text)
            self._space = self._space or whole[:1].isspace()
            is_label = len(whole) <= _LONGEST_LABEL
            self._word(self._links.linked(address, whole) if is_label else " ".join(whole.split()))
            self._space = whole[-1:].isspace()

    def _put(self, text: str) -> None:
        if self._link:
            self._link[1].append(text)
        elif self._preformatted:
            self._word(text)
        else:
            words = " ".join(text.split())
            self._space = self._space or text[:1].isspace()
            self._word(words)
            self._space = self._space if not words else text[-1:].isspace()

    def _word(self, text: str) -> None:
        """Add text as it is, behind the line ends or the space that are due."""
        if text:
            space = " " if self._space and not self._breaks and self._made else ""
            self._made.append("\n" * (self._breaks if self._made else 0) + space + text)
            self._breaks, self._space = 0, False

    def _break(self, lines: int) -> None:
        if self._link:
            self._link[1].append(" ")
        else:
            self._breaks = max(self._breaks, lines)

    def _prefix(self, prefix: str) -> None:
        if not self._link:
            self._word(prefix)
