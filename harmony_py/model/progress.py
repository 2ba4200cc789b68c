"""How far something long has come, for somebody who waits."""

from __future__ import annotations

import shutil
import sys
from typing import Final

WIDTH: Final = 30


def bar(done: int, total: int, *, doing: str = "reading", of: str = "tokens") -> None:
    """Draw a bar on standard error, over the last one; silent where that is no terminal.

    When all is done it leaves nothing behind. Made to be handed to `generate` as its `progress`.
    """
    if not sys.stderr.isatty():
        return
    filled = WIDTH * done // max(1, total)
    line = f"{doing} [{'#' * filled}{' ' * (WIDTH - filled)}] {done:,} of {total:,} {of}"
    end = "\r\x1b[K" if done >= total else ""
    # A line that wraps could not be drawn over.
    print(f"\r{line[: shutil.get_terminal_size().columns - 1]}{end}", end="", file=sys.stderr, flush=True)


def quantising(done: int, total: int) -> None:
    """The same for `load`."""
    bar(done, total, doing="quantising", of="matrices")
