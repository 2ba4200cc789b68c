"""What two streams of ids begin with alike."""

from __future__ import annotations


def shared(one: list[int], other: list[int]) -> int:
    """How many of their first ids are the same. Found by halves: whole slices compare fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
