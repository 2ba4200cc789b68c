"""Tokens as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.testing.implementation import Fields, Reading
from harmony_py.testing.invariants.parsing import compare
from harmony_py.testing.invariants.violation import invariant, wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.testing.implementation import Implementation
    from harmony_py.testing.tokens import Stream


def _feed(
    implementation: Implementation, stream: Stream, chunks: Sequence[Sequence[int]]
) -> tuple[str, list[Fields]]:
    """All the text that came out, and the messages."""
    parser = implementation.stream(stream.role)
    text = "".join(parser.feed(chunk) for chunk in chunks)
    text += parser.finish()
    return text, [Fields.of(message) for message in parser.messages()]


@invariant
def streams_read_like_the_whole(implementation: Implementation, stream: Stream) -> None:
    """Token by token, the messages are those that come of all tokens at once."""
    _, found = _feed(implementation, stream, [[token] for token in stream.tokens])
    compare(Reading.of(implementation.parse(stream.tokens, stream.role)).messages, found)


@invariant
def deltas_are_the_text(implementation: Implementation, stream: Stream) -> None:
    """What comes out as tokens come is, in the end, all that the messages say, once."""
    deltas, found = _feed(implementation, stream, [[token] for token in stream.tokens])
    text = "".join(message.text for message in found)
    if deltas != text:
        wrong("deltas of another text", f"{deltas!r} instead of {text!r}")


@invariant
def streams_may_be_cut_anywhere(
    implementation: Implementation, stream: Stream, chunks: Sequence[Sequence[int]]
) -> None:
    """In chunks, text and messages are what they are token by token."""
    text, messages = _feed(implementation, stream, [[token] for token in stream.tokens])
    found_text, found = _feed(implementation, stream, chunks)
    compare(messages, found)
    if found_text != text:
        wrong("deltas of another text", f"{found_text!r} instead of {text!r}")
