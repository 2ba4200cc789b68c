"""How far what was read is from what was meant: told by behaviour, not by anybody's names for it.

A reader may leave a channel unset, keep stray text or drop it, and report whatever it likes. It may not lose
what a message says, make two messages one, or tell that somebody called a tool that nobody called.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from harmony_py.testing.tokens import CONSTRAIN_SPELLED
from harmony_py.tokenizer.special import SPECIAL_TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.testing.implementation import Fields

_MARKER: Final = re.compile("|".join(map(re.escape, (n for n in SPECIAL_TOKENS if "reserved" not in n))))
_REPLACED: Final = re.compile("\ufffd+")


class Fault(NamedTuple):
    """One thing that is wrong."""

    kind: str
    """In a few words, the same ones whatever the input."""
    detail: str


def find_fault(meant: Sequence[Fields], found: Sequence[Fields]) -> Fault | None:
    """The worst of what is wrong with `found`, if anything is."""
    partners = _exact_partners(meant, found)
    merged = set(range(len(found))) - set(partners.values())
    for i, message in enumerate(meant):
        if i in partners or not message.text.strip():
            continue
        holds = [j for j in sorted(merged) if _holds(found[j].text, message.text)]
        if not holds:
            return Fault("text lost", f"no message says {message.text!r}")
        free = [j for j in holds if j not in partners.values()]
        if not free:
            return Fault("messages merged", f"{message.text!r} is part of another message")
        partners[i] = free[0]
    for i, j in sorted(partners.items()):
        if fault := _misread(meant[i], found[j]):
            return fault
    return _invented([message for j, message in enumerate(found) if j not in partners.values()])


def _exact_partners(meant: Sequence[Fields], found: Sequence[Fields]) -> dict[int, int]:
    """Messages that say just what one of those meant does, in the same order where there are several."""
    partners: dict[int, int] = {}
    for i, message in enumerate(meant):
        same = [
            j
            for j, other in enumerate(found)
            if (other.text, other.role) == (message.text, message.role) and j not in partners.values()
        ]
        if same:
            last = max(partners.values(), default=-1)
            partners[i] = next((j for j in same if j > last), same[0])
    return partners


def _holds(text: str, wanted: str) -> bool:
    """Whether all of `wanted` is in `text`, in order; what was no text may look like anything."""
    at = 0
    for piece in _REPLACED.split(wanted.strip()):
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def _misread(meant: Fields, found: Fields) -> Fault | None:
    for field in ("name", "recipient", "channel", "content_type"):
        value = getattr(found, field) or ""
        if _MARKER.search(value.removeprefix(CONSTRAIN_SPELLED)):
            return Fault(f"control token in the {field}", f"{field} is {value!r}")
    if meant.role != found.role:
        return Fault("another role", f"{found.role!r} instead of {meant.role!r}")
    if (meant.recipient or None) != (found.recipient or None):
        if meant.recipient is None:
            return Fault("a recipient that nobody named", f"recipient is {found.recipient!r}")
        kind = "call lost" if found.recipient is None else "another recipient"
        return Fault(kind, f"recipient is {found.recipient!r} instead of {meant.recipient!r}")
    if meant.channel and found.channel and meant.channel != found.channel:
        return Fault("another channel", f"channel is {found.channel!r} instead of {meant.channel!r}")
    return _added_marker(meant, found)


def _added_marker(meant: Fields, found: Fields) -> Fault | None:
    """Structure that was taken for text shows its control tokens there."""
    if len(_MARKER.findall(found.text)) > len(_MARKER.findall(meant.text)):
        return Fault("structure taken for text", f"text is {found.text!r} instead of {meant.text!r}")
    return None


def _invented(rest: Sequence[Fields]) -> Fault | None:
    """What is left over may be stray text, but nobody's call and nobody else's words."""
    for message in rest:
        if message.recipient:
            return Fault("a call that nobody made", f"a message to {message.recipient!r}: {message.text!r}")
        if message.role != "assistant":
            return Fault("a message that nobody wrote", f"by {message.role!r}: {message.text!r}")
    return None
