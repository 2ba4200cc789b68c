"""How far a long prompt has been read, for somebody who waits."""

from __future__ import annotations

import shutil
import sys
from typing import Final

WIDTH: Final = 30


def bar(done: int, total: int) -> None:
    """Draw a bar on standard error, over the last one; silent where that is no terminal.

    When all is done it leaves nothing behind. Made to be handed to `generate` as its `progress`.
    """
    if not sys.stderr.isatty():
        return
    filled = WIDTH * done // max(1, total)
    line = f"reading [{'#' * filled}{' ' * (WIDTH - filled)}] {done:,} of {total:,} tokens"
    end = "\r\x1b[K" if done >= total else ""
    # A line that wraps could not be drawn over.
    print(f"\r{line[: shutil.get_terminal_size().columns - 1]}{end}", end="", file=sys.stderr, flush=True)
