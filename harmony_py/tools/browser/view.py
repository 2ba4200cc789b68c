"""What the model sees of a page: a heading, where it is in the page, and lines with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from harmony_py.errors import ToolError
from harmony_py.tokenizer import Tokenizer
from harmony_py.tools.browser.text import one_line

if TYPE_CHECKING:
    from harmony_py.tools.browser.page import Page

MOST_AT_ONCE: Final = 8
"""How many times the usual number of tokens there may be if the model asks for many lines."""

_LONGEST_TOKEN: Final = 128
"""In characters."""


def display(page: Page, cursor: int, loc: int, num_lines: int, tokens: int) -> str:
    """The page from line `loc` on: `num_lines` lines, or as many as it takes to have so many tokens."""
    last = len(page.lines) - 1
    if loc > last:
        raise ToolError(f"Invalid location parameter: `{loc}`. Cannot exceed page maximum of {last}.")
    if num_lines > 0:
        end, tokens = min(loc + num_lines, last + 1), tokens * MOST_AT_ONCE
    else:
        end = last + 1
    lines = _fitting([f"L{at}: {page.lines[at]}" for at in range(loc, end)], tokens)
    place = f" ({one_line(unquote(page.url), 1024)})" if page.url else ""
    heading = (
        f"[{cursor}] {page.title}{place}\n**viewing lines [{loc} - {loc + len(lines) - 1}] of {last}**\n\n"
    )
    return heading + "\n".join(lines)


def _fitting(lines: list[str], tokens: int) -> list[str]:
    """The first lines that have so many tokens together; the last of them whole."""
    text = "\n".join(lines)[: (tokens + 1) * _LONGEST_TOKEN]
    tokenizer = Tokenizer.o200k_harmony()
    ids = tokenizer.encode_ordinary(text)
    if len(ids) <= tokens:
        return lines[: text.count("\n") + 1]
    return lines[: tokenizer.decode(ids[:tokens]).count("\n") + 1]
