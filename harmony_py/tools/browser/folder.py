"""A local folder as the web: its HTML, Markdown and text files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from harmony_py.errors import ToolError
from harmony_py.tools.browser.backend import Document, Hit, Kind
from harmony_py.tools.browser.page import without_links
from harmony_py.tools.browser.ranking import Text, passage, ranked
from harmony_py.tools.browser.reading import page_of
from harmony_py.tools.confine import Confined

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: Final[dict[str, Kind]] = {
    ".htm": "html",
    ".html": "html",
    ".markdown": "markdown",
    ".md": "markdown",
    ".txt": "text",
}

_BASE: Final = "file:///"

MOST_FILES: Final = 5000
LARGEST: Final = 2**20
"""Bytes of a file. Larger ones are not searched, and not opened."""


class FolderBackend:
    """Serves a folder. The folder is the root of all addresses: `file:///guide/start.md`.

    Nothing outside is read, no symbolic link is followed, and what begins with a dot is not there.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Confined(folder)
        self._texts: dict[str, tuple[tuple[int, int], Text]] = {}
        """By name: the state of the file when it was read, and its text."""

    def search(self, query: str, topn: int) -> list[Hit]:
        names = list(self._names())
        known = [(name, text) for name in names if (text := self._text(name))]
        texts = [text for _, text in known]
        return [
            Hit(_BASE + quote(known[i][0]), texts[i].title, passage(query, texts[i]))
            for i in ranked(query, texts)[:topn]
        ]

    def fetch(self, url: str) -> Document:
        parts = urlsplit(url)
        name = unquote(parts.path).lstrip("/")
        if parts.scheme not in ("", "file") or parts.netloc or not name:
            raise ToolError(f"expected the address of a page here, such as one that `search` found: {url!r}")
        return self._document(name)

    def _document(self, name: str) -> Document:
        path = self._folder.path(name)
        name = self._folder.name(path)
        kind = _KINDS.get(path.suffix.lower())
        try:
            if kind is None or any(part.startswith(".") for part in Path(name).parts) or not path.is_file():
                raise ToolError(f"there is no page {name!r}")
            if path.stat().st_size > LARGEST:
                raise ToolError(f"{name!r} is larger than {LARGEST} bytes")
            content = path.read_bytes().decode("utf-8-sig", errors="replace")
        except OSError as error:
            raise ToolError(f"{name!r} cannot be read: {error.strerror}") from None
        return Document(_BASE + quote(name), content, kind, None if kind == "html" else path.stem)

    def _names(self) -> Iterator[str]:
        found = 0
        for folder, folders, files in os.walk(self._folder.root):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            for file in sorted(files):
                path = Path(folder, file)
                if file.startswith(".") or path.suffix.lower() not in _KINDS or path.is_symlink():
                    continue
                found += 1
                if found > MOST_FILES:
                    return
                yield self._folder.name(path)

    def _text(self, name: str) -> Text | None:
        """The text of a file, read again if it has changed; None if it cannot be read."""
        try:
            status = (self._folder.root / name).stat()
            state = (status.st_mtime_ns, status.st_size)
            if name not in self._texts or self._texts[name][0] != state:
                page = page_of(self._document(name))
                # The first lines are the address.
                lines = tuple(without_links(page.lines)[2:])
                self._texts[name] = (state, Text.of(page.title, lines))
        except (OSError, ToolError):
            return None
        return self._texts[name][1]
