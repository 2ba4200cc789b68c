"""Short names for what the tests say often, and the oracle that takes a while to load."""

from __future__ import annotations

import functools

import openai_harmony

from harmony_py import Tokenizer
from harmony_py.format.events import ContentDelta, Event
from harmony_py.testing.implementation import Fields
from harmony_py.testing.tokens import ids

__all__ = ["Fields", "fields", "ids", "joined", "tokenizer", "upstream_encoding"]

tokenizer = Tokenizer.o200k_harmony()

fields = Fields.of
"""The fields of a message of ours or of `openai-harmony`'s."""


@functools.cache
def upstream_encoding() -> openai_harmony.HarmonyEncoding:
    """`openai-harmony`'s encoding, which takes it a while to load."""
    return openai_harmony.load_harmony_encoding(openai_harmony.HarmonyEncodingName.HARMONY_GPT_OSS)


def joined(events: list[Event]) -> list[Event]:
    """`events` with neighbouring deltas made one."""
    whole: list[Event] = []
    for event in events:
        last = whole[-1] if whole else None
        if isinstance(event, ContentDelta) and isinstance(last, ContentDelta):
            whole[-1] = last._replace(text=last.text + event.text)
        else:
            whole.append(event)
    return whole
