"""Pages for the browser's tests: a backend that has what it is given, and a reader of displays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from harmony_py.errors import ToolError
from harmony_py.tools.browser import Document, Hit

if TYPE_CHECKING:
    from collections.abc import Mapping


class Pages:
    """Has the given documents; finds all of them."""

    def __init__(self, contents: Mapping[str, str | Document]) -> None:
        self.documents = {
            url: content if isinstance(content, Document) else Document(url, content)
            for url, content in contents.items()
        }
        self.fetched: list[str] = []

    def search(self, query: str, topn: int) -> list[Hit]:
        return [Hit(url, f"title of {url}", document.content) for url, document in self.documents.items()]

    def fetch(self, url: str) -> Document:
        self.fetched.append(url)
        if url not in self.documents:
            raise ToolError(f"{url} is not here")
        return self.documents[url]


class Display(NamedTuple):
    """A display read back, as strictly as it goes."""

    cursor: int
    heading: str
    first: int
    last: int
    of: int
    lines: list[str]

    @property
    def links(self) -> list[tuple[int, str, str | None]]:
        found = re.findall(r"【(\d+)†([^【†】]*)(?:†([^【†】]*))?】", "\n".join(self.lines))
        return [(int(number), text, domain or None) for number, text, domain in found]


def read(text: str) -> Display:
    heading, place, empty, *numbered = text.split("\n")
    found = re.fullmatch(r"\[(\d+)\] (.*)", heading)
    where = re.fullmatch(r"\*\*viewing lines \[(\d+) - (\d+)\] of (\d+)\*\*", place)
    assert found
    assert where
    assert empty == ""
    first, last, of = map(int, where.groups())
    assert len(numbered) == last - first + 1
    lines = []
    for number, line in enumerate(numbered, first):
        assert line.startswith(f"L{number}: ")
        lines.append(line.removeprefix(f"L{number}: "))
    return Display(int(found[1]), found[2], first, last, of, lines)
