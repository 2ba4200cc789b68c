"""The log probabilities of sampled tokens, one entry a token, in the form of Chat Completions:
`{"token", "logprob", "bytes", "top_logprobs"}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from harmony_py.format.events import MessageEnd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.format.events import Event, Span

Entry: TypeAlias = "dict[str, Any]"


def by_message(spans: Sequence[Span], entries: Sequence[Entry], count: int) -> list[list[Entry]]:
    """For each of `count` messages the entries of the tokens of its text."""
    found: list[list[Entry]] = [[] for _ in range(count)]
    for span in spans:
        if span.part == "content" and span.message is not None:
            found[span.message] += entries[span.start : span.end]
    return found


class Held:
    """The entries of tokens whose text has not come yet: a character may take several tokens."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def add(self, entry: Entry | None, events: Sequence[Event]) -> None:
        """Hold the entry of the token that brought about `events`, unless it ends a message."""
        if entry is not None and not any(isinstance(event, MessageEnd) for event in events):
            self._entries.append(entry)

    def drop(self) -> None:
        """A message begins: what is held belongs to its header, or to no text."""
        self._entries = []

    def take(self) -> list[Entry]:
        """What is held; it belongs to the text that has come now."""
        taken, self._entries = self._entries, []
        return taken


# -- as the Responses API has them --------------------------------------------------------------------------


def for_part(entry: Entry) -> Entry:
    """An entry as a part of a message has it: bytes are a list always."""
    top = [_with_bytes(each) for each in entry.get("top_logprobs") or ()]
    return {**_with_bytes(entry), "top_logprobs": top}


def for_event(entry: Entry) -> Entry:
    """An entry as an event has it: without bytes."""
    top = [_without_bytes(each) for each in entry.get("top_logprobs") or ()]
    return {**_without_bytes(entry), "top_logprobs": top}


def _with_bytes(entry: Entry) -> Entry:
    return {**_without_bytes(entry), "bytes": list(entry.get("bytes") or entry["token"].encode())}


def _without_bytes(entry: Entry) -> Entry:
    return {"token": entry["token"], "logprob": entry["logprob"]}
