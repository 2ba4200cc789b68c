"""What the browser needs of whoever has the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind: TypeAlias = Literal["html", "markdown", "text"]

KINDS: Final[dict[str, Kind]] = {
    "application/json": "text",
    "application/xhtml+xml": "html",
    "text/html": "html",
    "text/markdown": "markdown",
    "text/plain": "text",
}
"""By media type."""


class Hit(NamedTuple):
    """One result of a search."""

    url: str
    title: str
    summary: str = ""


class Document(NamedTuple):
    """What an address holds. Relative links in it are relative to `url`."""

    url: str
    content: str
    kind: Kind = "html"
    title: str | None = None


class Backend(Protocol):
    """Has pages. Both methods raise `ToolError` with words for the model where they cannot.

    They may take their time, and give anything: the browser cuts them off, and trusts no text of theirs.
    """

    def search(self, query: str, topn: int) -> Iterable[Hit]:
        """The best results first."""

    def fetch(self, url: str) -> Document:
        """The document at an address: of a result, of a link in a page, or one that the model made up."""
