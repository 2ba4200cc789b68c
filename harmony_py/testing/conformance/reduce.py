"""Texts made shorter by leaving things out: hypothesis does not look inside the words they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def shortest(text: str, still_fails: Callable[[str], bool]) -> str:
    """A text from which nothing more can be left out, in one piece, so that it `still_fails`."""
    length = len(text)
    while length:
        at = 0
        while at < len(text):
            shorter = text[:at] + text[at + length :]
            if still_fails(shorter):
                text = shorter
            else:
                at += length
        length = min(length // 2, len(text))
    return text
