"""A patch in the models' language from two texts, for tests: what `diff` is to `patch`."""

from __future__ import annotations

import difflib


def section(path: str, before: list[str], after: list[str], around: int = 1) -> list[str]:
    """The lines of an update. Each change has so many lines before it that its place is found."""
    lines = [f"*** Update File: {path}"]
    at = 0
    for tag, first, last, new_first, new_last in difflib.SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if tag == "equal":
            continue
        start, end = _extent(before, at, first, last, around)
        lines += [
            "@@",
            *(f" {line}" for line in before[start:first]),
            *(f"-{line}" for line in before[first:last]),
            *(f"+{line}" for line in after[new_first:new_last]),
            *(f" {line}" for line in before[last:end]),
        ]
        at = end
    return lines


def _extent(before: list[str], at: int, first: int, last: int, around: int) -> tuple[int, int]:
    """Where a hunk begins and ends, so that its lines stand nowhere earlier behind `at`."""
    start = max(at, first - around)
    # Lines behind are only taken up to the next change: here none, so that hunks never overlap.
    while start > at and _found(before, before[start:last], at) != start:
        start -= 1
    if start == last:  # nothing to find the place by
        start = at
    return start, last


def _found(lines: list[str], part: list[str], at: int) -> int:
    return next(i for i in range(at, len(lines) + 1) if lines[i : i + len(part)] == part)


def envelope(*sections: list[str]) -> str:
    return "\n".join(["*** Begin Patch", *(line for lines in sections for line in lines), "*** End Patch"])
