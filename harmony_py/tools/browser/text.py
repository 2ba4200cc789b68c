"""Text of pages made harmless: nothing in it is the browser's own structure, or hidden from a reader."""

from __future__ import annotations

import re
from typing import Final

_MARKS: Final = str.maketrans({"【": "〖", "】": "〗", "†": "‡"})
"""What links and citations are made of."""

_LINE_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\xad\u200b\u2060\ufeff"  # controls; characters without width
    "\u202a-\u202e\u2066-\u2069"  # text that is shown in another order
    "\ud800-\udfff\U000e0000-\U000e007f]"  # half characters; a second alphabet that is not shown
)


def clean(text: str) -> str:
    """The text without the marks of links, with one kind of line end, and without what is not seen."""
    return _HIDDEN.sub("", _LINE_ENDS.sub("\n", text)).translate(_MARKS)


def one_line(text: str, longest: int = 1000) -> str:
    """`clean`, on one line, and cut off if it is long."""
    line = " ".join(clean(text[: 4 * longest]).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
