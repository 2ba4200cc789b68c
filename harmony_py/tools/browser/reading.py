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
    {"article", "aside", "blockquote", "div", "dl", "figure", "footer", "form", "header", "hr", "main", "nav"}
    | {"ol", "p", "pre", "section", "table", "ul", *_HEADINGS}
)
"""Stand between empty lines."""
_LINES: Final = frozenset({"address", "body", "dd", "dt", "figcaption", "html", "li", "option", "tr"})
_AROUND: Final = {"sup": ("^{", "}"), "sub": ("_{", "}"), "code": ("`", "`")}
_INDENT: Final = "    "
"""Before lines of code and definitions."""

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
        self._begun = False
        """There is a bullet or the like, and nothing behind it yet."""
        self._hidden: dict[str, int] = {}
        self._preformatted = 0
        self._quoted = 0
        self._lists: list[int | None] = []
        """For each list that is open the number of its last item; None where items have no numbers."""
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
        elif name in _AROUND:
            self._put("" if self._preformatted else _AROUND[name][0])
        elif name in ("td", "th"):
            self._space = True
        elif name in _APART or name in _LINES:
            self._break(self._distance(name))
            self._enter(name)

    def _enter(self, name: str) -> None:
        """What stands before the text of an element, and how it is shown from now on."""
        prefix = _HEADINGS.get(name, "")
        if name in ("ol", "ul"):
            self._lists.append(0 if name == "ol" else None)
        elif name == "li":
            prefix = self._bullet()
        elif name == "hr":
            self._put("* * *")
            self._break(2)
        elif name == "dd":
            prefix = _INDENT
        elif name == "pre":
            self._preformatted += 1
            prefix = _INDENT
        elif name == "blockquote":
            self._quoted += 1
        if prefix:
            self._prefix(prefix)

    def _bullet(self) -> str:
        outer = "".join("  " if number is None else "   " for number in self._lists[-9:-1])
        if not self._lists or self._lists[-1] is None:
            return f"{outer}  * "
        self._lists[-1] += 1
        return f"{outer}  {self._lists[-1]}. "

    def _distance(self, name: str) -> int:
        """How many line ends there are before and behind an element."""
        within_list = name in ("ol", "ul") and len(self._lists) > 0
        return 2 if name in _APART and not within_list else 1

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
        elif name in _AROUND:
            self._put("" if self._preformatted else _AROUND[name][1])
        elif name in _APART or name in _LINES:
            self._leave(name)
            self._break(self._distance(name))

    def _leave(self, name: str) -> None:
        self._begun = False
        if name in ("ol", "ul"):
            del self._lists[-1:]
        elif name == "pre":
            self._preformatted = max(0, self._preformatted - 1)
        elif name == "blockquote":
            self._quoted = max(0, self._quoted - 1)

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
            text = text.removeprefix("\n") if self._begun else text
            self._word(text.replace("\n", f"\n{_INDENT}"))
        else:
            words = " ".join(text.split())
            self._space = self._space or text[:1].isspace()
            self._word(words)
            self._space = self._space if not words else text[-1:].isspace()

    def _word(self, text: str) -> None:
        """Add text as it is, behind the line ends or the space that are due."""
        if text:
            if self._breaks or not self._made:
                before = "\n" * (self._breaks if self._made else 0) + "> " * min(self._quoted, 9)
            else:
                before = " " if self._space else ""
            self._made.append(before + text)
            self._breaks, self._space, self._begun = 0, False, False

    def _break(self, lines: int) -> None:
        if self._link:
            self._link[1].append(" ")
        elif not self._begun:
            self._breaks = max(self._breaks, lines)

    def _prefix(self, prefix: str) -> None:
        if not self._link:
            self._word(prefix)
            self._begun = True
