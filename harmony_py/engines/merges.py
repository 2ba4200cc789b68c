"""The vocabulary as byte-level BPE files have it: printable tokens, and every merge that makes one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def merges(tokens: Sequence[bytes], names: Sequence[str]) -> list[tuple[str, str]]:
    """Every pair of tokens that together are one, in the order in which they merge."""
    ranks = {token: rank for rank, token in enumerate(tokens)}
    pairs: list[tuple[str, str]] = []
    for token in tokens:
        halves = ((ranks.get(token[:cut]), ranks.get(token[cut:])) for cut in range(1, len(token)))
        found = sorted((left, right) for left, right in halves if left is not None and right is not None)
        pairs += ((names[left], names[right]) for left, right in found)
    return pairs


def printable(tokens: Sequence[bytes]) -> list[str]:
    """Each token with a printable character for every byte, as the format of such vocabularies asks."""
    return [token.decode("latin-1").translate(_characters()) for token in tokens]


@functools.cache
def _characters() -> dict[int, str]:
    """The character for each byte: itself where that can be printed, else the next one from U+0100 on."""
    printed = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printed]
    return {**{b: chr(b) for b in printed}, **{b: chr(0x100 + i) for i, b in enumerate(others)}}
