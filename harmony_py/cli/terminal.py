"""Colour on a terminal, plain text in a pipe, and nothing that a terminal could take for a command."""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from itertools import cycle
from typing import TYPE_CHECKING, Final, TextIO

from harmony_py.tokenizer.special import START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.tokenizer import Tokenizer

RESET: Final = "\x1b[0m"
BOLD: Final = "\x1b[1m"
DIM: Final = "\x1b[2m"
RED: Final = "\x1b[31m"
CONTROL: Final = "\x1b[1;30;48;5;214m"
"""A control token among others."""

_BACKGROUNDS: Final = (24, 60, 94, 65)
_BAR: Final = 30
_AROUND: Final = 8
"""Tokens that are shown before and behind one that is pointed at."""

CHANNEL_COLOURS: Final = {"analysis": "\x1b[36m", "commentary": "\x1b[33m", "final": "\x1b[32m"}

# A text may be anybody's: escape sequences in it would move the cursor or rename the window, and marks of
# direction would show a line in another order than it has.
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def in_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to `stream`: on a terminal that has colours, unless somebody asked for
    none with `NO_COLOR`, or everywhere with `FORCE_COLOR`. Empty, neither asks for anything."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def harmless(text: str) -> str:
    """`text` without what a terminal acts upon: control characters are spelled out."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def painted(text: str, colour: str, stream: TextIO | None = None) -> str:
    """`text` in `colour`, where colours are shown."""
    return f"{colour}{text}{RESET}" if in_colour(stream or sys.stdout) else text


def tokens_in_colour(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The text of `ids`, a background for each token. Bytes that are no character show as `�`."""
    shown = []
    for token, background in zip(ids, cycle(_BACKGROUNDS), strict=False):
        colour = CONTROL if token >= START_OF_TEXT else f"\x1b[97;48;5;{background}m"
        # A background must not run on to the end of the line.
        text = harmless(tokenizer.decode([token])).replace("\n", f"↵{RESET}\n{colour}")
        shown.append(f"{colour}{text}{RESET}")
    return "".join(shown)


def pointed_at(tokenizer: Tokenizer, ids: Sequence[int], index: int) -> str:
    """The text around the token at `index`, and a line below it that points at the token."""
    before, token, after = (
        "".join(_shown(tokenizer, each) for each in part)
        for part in (ids[max(0, index - _AROUND) : index], ids[index : index + 1], ids[index + 1 :][:_AROUND])
    )
    more = "... " if index > _AROUND else ""
    rest = " ..." if len(ids) > index + 1 + _AROUND else ""
    return (
        f"  {more}{before}{token}{after}{rest}\n  {' ' * _width(more + before)}{'^' * max(1, _width(token))}"
    )


def _shown(tokenizer: Tokenizer, token: int) -> str:
    """One token's text on one line; an id that no token has as a number."""
    try:
        return harmless(tokenizer.decode([token])).replace("\n", "↵").replace("\t", " ")
    except (KeyError, OverflowError):
        return f"<{token}>"


def _width(text: str) -> int:
    """Columns that `text` takes on a terminal: wide characters take two, those that join others none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def write(text: str, end: str = "\n") -> None:
    """Write a line to the standard output; what it cannot encode is spelled out."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + end)


def show_progress(done: int, total: int, what: str) -> None:
    """Draw a bar on the standard error, over the last one; silent where that is no terminal.

    When all is done it leaves nothing behind.
    """
    if not sys.stderr.isatty():
        return
    filled = "#" * (_BAR * done // total)
    line = f"[{filled:<{_BAR}}] {done}/{total} {what}"
    end = "\r\033[K" if done == total else ""
    # A line that wraps could not be drawn over.
    sys.stderr.write(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}{end}")
    sys.stderr.flush()
