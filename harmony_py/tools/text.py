"""Text of strangers with nothing hidden in it."""

from __future__ import annotations

import re
from typing import Final

_LINE_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\xad\u200b\u2060\ufeff"  # controls; characters without width
    "\u202a-\u202e\u2066-\u2069"  # text that is shown in another order
    "\ud800-\udfff\U000e0000-\U000e007f]"  # half characters; a second alphabet that is not shown
)


def visible(text: str) -> str:
    """The text with one kind of line end, and without what a reader does not see."""
    return _HIDDEN.sub("", _LINE_ENDS.sub("\n", text))
