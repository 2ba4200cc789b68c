"""Where in a file a hunk fits, and the file with the hunks applied."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Final

from harmony_py.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harmony_py.tools.apply_patch.envelope import Hunk

SECONDS: Final = 10.0
"""For the search in one file. Only a patch made to be slow needs more than a moment."""


def patched(text: str, hunks: Iterable[Hunk]) -> str:
    """The text with the hunks applied, in order; `ToolError` says which does not fit.

    A hunk goes where its lines first stand as written, behind the hunk before it and its own headers. If they
    stand nowhere, space at the ends of lines is ignored, then at the beginnings too. Lines that stay are the
    file's own. So are line ends, and whether there is one behind the last line.
    """
    return _File(text).patched(hunks)


class _File:
    def __init__(self, text: str) -> None:
        # Only "\n" and "\r\n" end a line: what else `splitlines` takes for an end is left alone.
        pieces = text.split("\n")
        last = pieces.pop()
        self._ends = ["\r\n" if piece.endswith("\r") else "\n" for piece in pieces]
        self._exact = [piece.removesuffix("\r") for piece in pieces]
        self._ends_in_newline = not last
        if last:
            self._exact.append(last)
            self._ends.append(self._ends[-1] if self._ends else "\n")
        self._deadline = time.monotonic() + SECONDS

    @cached_property
    def _right_stripped(self) -> list[str]:
        return [line.rstrip() for line in self._exact]

    @cached_property
    def _stripped(self) -> list[str]:
        return [line.strip() for line in self._exact]

    def patched(self, hunks: Iterable[Hunk]) -> str:
        made: list[tuple[str, str]] = []
        end = self._ends[0] if self._ends else "\n"
        at = 0
        for number, hunk in enumerate(hunks, 1):
            try:
                hunk, place = self._placed(hunk, at)
            except ToolError as error:
                raise ToolError(f"hunk {number}: {error}") from None
            made += zip(self._exact[at:place], self._ends[at:place], strict=True)
            at = place
            end = self._ends[at - 1] if at else end
            for mark, line in hunk.lines:
                if mark == "+":
                    made.append((line, end))
                    continue
                end = self._ends[at]
                if mark == " ":
                    made.append((self._exact[at], end))
                at += 1
        made += zip(self._exact[at:], self._ends[at:], strict=True)
        if made and not self._ends_in_newline:
            made[-1] = (made[-1][0], "")
        return "".join(line + end for line, end in made)

    def _placed(self, hunk: Hunk, start: int) -> tuple[Hunk, int]:
        """The hunk, perhaps without empty lines behind it, and the first of its lines in the file."""
        least = start
        for header in hunk.headers:
            start = self._behind(header, start)
        trimmed = hunk
        while True:
            old = [line for mark, line in trimmed.lines if mark != "+"]
            place = self._at_end(old, least) if hunk.at_end else None
            if place is None:
                place = self._find(old, start)
            if place is None and start > least:
                place = self._find(old, start - 1)  # some repeat the header as a line that stays
            if place is not None:
                return trimmed, place
            if trimmed.lines[-1] != (" ", "") or len(trimmed.lines) == 1:
                raise self._misfit(hunk, start)
            # An empty line between two sections reads like a line that stays.
            trimmed = trimmed._replace(lines=trimmed.lines[:-1])

    def _behind(self, header: str, start: int) -> int:
        self._keep_time()
        for lines, wanted in ((self._exact, header), (self._stripped, header.strip())):
            if wanted in lines[:start]:
                return start
            found = self._search(lines, [wanted], start)
            if found is not None:
                return found + 1
        raise ToolError(f"the line {header!r}, behind which it should be, is not in the file")

    def _at_end(self, old: list[str], least: int) -> int | None:
        last = len(self._exact) - len(old)
        return self._find(old, last) if last >= least else None

    def _find(self, old: list[str], start: int) -> int | None:
        if not old:
            return start
        found = self._search(self._exact, old, start)
        if found is None:
            found = self._search(self._right_stripped, [line.rstrip() for line in old], start)
        if found is None:
            found = self._search(self._stripped, [line.strip() for line in old], start)
        return found

    def _search(self, lines: list[str], old: list[str], start: int) -> int | None:
        at = start
        while True:
            self._keep_time()
            try:
                at = lines.index(old[0], at)
            except ValueError:
                return None
            if lines[at : at + len(old)] == old:
                return at
            at += 1

    def _keep_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise ToolError(f"no place found within {SECONDS:g} seconds; use fewer or more telling lines")

    def _misfit(self, hunk: Hunk, start: int) -> ToolError:
        old = [line for mark, line in hunk.lines if mark != "+"]
        lines = "\n".join(old[:10]) + ("\n..." if len(old) > 10 else "")
        hint = self._hint(old, start)
        return ToolError(
            f"from line {start + 1} on the file does not have these lines:\n{lines[:2000]}\n{hint}"
        )

    def _hint(self, old: Sequence[str], start: int) -> str:
        """Where the file comes closest, as far as the first line tells."""
        wanted = [line.strip() for line in old]
        places = [at for at in range(start, len(self._stripped)) if self._stripped[at] == wanted[0]][:100]
        if not places:
            elsewhere = wanted[0] in self._stripped[:start]
            where = (
                "only stands above; hunks go from top to bottom" if elsewhere else "is nowhere in the file"
            )
            return f"The first of them {where}."
        alike = {at: self._alike(wanted, at) for at in places}
        at = max(places, key=alike.__getitem__)
        differs = at + alike[at]
        found = repr(self._exact[differs][:200]) if differs < len(self._exact) else "the end of the file"
        return f"Closest is line {at + 1}; but line {differs + 1} is {found}."

    def _alike(self, wanted: Sequence[str], at: int) -> int:
        pairs = zip(wanted, self._stripped[at : at + len(wanted)], strict=False)
        return next(
            (i for i, (a, b) in enumerate(pairs) if a != b), min(len(wanted), len(self._stripped) - at)
        )
