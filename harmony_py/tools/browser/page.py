"""A page as the model sees it: lines of text with numbered links in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

from harmony_py.tools.browser.text import one_line

WIDTH: Final = 80
_PART: Final = re.compile(rf".{{1,{WIDTH}}}(?:(?<= )(?! )|\Z)|.{{{WIDTH}}}", re.DOTALL)
"""At most so many characters, which end between words; else as many as there may be."""

_LINK: Final = re.compile(r"【\d+†([^†】]*)(?:†[^†】]*)?】")
_SCHEMES: Final = ("http", "https", "file")


@dataclass(frozen=True)
class Page:
    """What one display shows parts of."""

    url: str
    title: str
    lines: tuple[str, ...]
    links: tuple[str, ...] = ()
    """Addresses by the links' numbers."""
    found_in: Page | None = None
    """The page that a display of `find` is about."""
    found_at: tuple[int, ...] = ()
    """The line for each link of such a display."""
    cited: str = ""
    """The address that a citation of this display means; none for search results."""
    can_be_searched: bool = True


def wrapped(text: str) -> tuple[str, ...]:
    """The lines of the text, long ones in several parts that make the line again."""
    return tuple(part for line in text.split("\n") for part in _PART.findall(line) or [""])


def without_links(lines: tuple[str, ...]) -> list[str]:
    """The same lines with the links' text only."""
    return _LINK.sub(r"\1", "\n".join(lines)).split("\n")


def domain_of(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


@dataclass
class Links:
    """The links of one page: an address has the same number wherever it stands."""

    page_url: str
    urls: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def linked(self, address: str, text: str) -> str:
        """The text as a link to the address, relative or not; only the text if that leads nowhere."""
        text = one_line(text)
        url = self._absolute(address)
        if not text or not url:
            return text
        if url not in self._numbers:
            self._numbers[url] = len(self.urls)
            self.urls.append(url)
        domain = domain_of(url)
        place = f"†{one_line(domain, 100)}" if domain != domain_of(self.page_url) else ""
        return f"【{self._numbers[url]}†{text}{place}】"

    def _absolute(self, address: str) -> str:
        address = address.strip()
        if address.startswith("#"):
            return ""  # within the page
        try:
            parts = urlsplit(urljoin(self.page_url, address))
        except ValueError:
            return ""
        # A page of the web has no business with files.
        leads_out = parts.scheme == "file" and urlsplit(self.page_url).scheme not in ("file", "")
        return "" if parts.scheme not in _SCHEMES or leads_out else parts.geturl()
