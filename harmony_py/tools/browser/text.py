"""Text of pages made harmless: nothing in it is the browser's own structure, or hidden from a reader."""

from __future__ import annotations

from typing import Final

from harmony_py.tools.text import visible

_MARKS: Final = str.maketrans({"【": "〖", "】": "〗", "†": "‡"})
"""What links and citations are made of."""


def clean(text: str) -> str:
    """The text without the marks of links, with one kind of line end, and without what is not seen."""
    return visible(text).translate(_MARKS)


def one_line(text: str, longest: int = 1000) -> str:
    """`clean`, on one line, and cut off if it is long."""
    line = " ".join(clean(text[: 4 * longest]).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
