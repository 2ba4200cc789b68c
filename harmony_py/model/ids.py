"""Ids of tokens as callers give them: lists, tensors, arrays, iterators."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def checked(values: Iterable[Any], vocab: int, wrong: Callable[[int, object], Exception]) -> list[int]:
    """`values` as plain ints from 0 to `vocab` - 1; raises `wrong(place, value)` of the first other one."""
    # A tensor's own elements are tensors, each a hundred times as slow to make as an int.
    given = values.tolist() if hasattr(values, "tolist") else list(values)
    try:
        ids = list(map(index, given))
        if not ids or (min(ids) >= 0 and max(ids) < vocab):
            return ids
    except TypeError:
        pass
    place = next(place for place, value in enumerate(given) if not _is_id(value, vocab))
    raise wrong(place, given[place])


def _is_id(value: Any, vocab: int) -> bool:
    try:
        return 0 <= index(value) < vocab
    except TypeError:
        return False
