"""Text that comes in pieces, however much of it."""

from __future__ import annotations

import re
from typing import Final

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""For terminals: colours, movements of the cursor, titles."""


class Output:
    """Keeps the beginning and the end, `characters` in all; of the middle only how long it was.

    The end is where an error says what it was.
    """

    def __init__(self, characters: int) -> None:
        self._longest_tail = characters // 3
        self._longest_head = characters - self._longest_tail
        self._head = ""
        self._tail = ""
        self.total = 0
        """Characters that came."""

    def add(self, text: str) -> None:
        text = text.replace("\r\n", "\n")  # what shell commands write to their terminal
        self.total += len(text)
        room = self._longest_head - len(self._head)
        self._head += text[:room]
        tail = self._tail + text[room:]
        self._tail = tail[max(0, len(tail) - self._longest_tail) :]

    def add_line(self, text: str) -> None:
        """Add text that stands on lines of its own."""
        if text:
            last = self._tail or self._head
            self.add(f"{'' if not last or last.endswith(chr(10)) else chr(10)}{text}\n")

    def text(self) -> str:
        left_out = self.total - len(self._head) - len(self._tail)
        middle = f"\n[... {left_out} characters left out ...]\n" if left_out else ""
        return _ESCAPES.sub("", self._head + middle + self._tail).rstrip("\n")
