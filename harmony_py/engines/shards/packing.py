"""Several samples in a row: as few rows as a simple rule finds, the same ones every time."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def pack(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Which samples share a row of `room` tokens; none is longer than that.

    The longest first, each into the row that it leaves least room in. The rows come in the order of their
    first sample, and so do the samples in a row: who reads the rows in order sees the data in order, nearly.
    """
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []
    """Of each row that is not full how much room it has, and which it is."""
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        place = bisect_left(free, (lengths[index], 0))
        if place < len(free):
            left, row = free.pop(place)
        else:
            left, row = room, len(rows)
            rows.append([])
        rows[row].append(index)
        if left > lengths[index]:
            insort(free, (left - lengths[index], row))
    return sorted(sorted(row) for row in rows)
