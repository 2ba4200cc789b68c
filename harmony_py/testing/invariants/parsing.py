"""Well-formed streams, and what holds of any."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from harmony_py.format.decode import to_text
from harmony_py.testing.implementation import Fields, NotSupportedError, Reading, RefusedError
from harmony_py.testing.invariants.violation import invariant, wrong
from harmony_py.testing.tokens import ids, spelled
from harmony_py.tokenizer.special import CALL, END, RETURN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.testing.implementation import Implementation
    from harmony_py.testing.tokens import Stream


def compare(meant: Sequence[Fields], found: Sequence[Fields]) -> None:
    """Nothing at all may differ: the first thing that does is what is wrong."""
    for i, (expected, given) in enumerate(zip(meant, found, strict=False)):
        for field, want, have in zip(Fields._fields, expected, given, strict=True):
            if want != have:
                wrong(f"another {field}", f"{field} of message {i} is {have!r} instead of {want!r}")
    if len(meant) != len(found):
        wrong("another number of messages", f"{len(found)} instead of {len(meant)}")


def recovered(
    implementation: Implementation, tokens: list[int], role: str | None, tools: Sequence[str] = ()
) -> Reading:
    """For what is asked about recovery where it succeeds: that it does is asked elsewhere."""
    try:
        return Reading.of(implementation.recover(tokens, role, tools))
    except RefusedError as refusal:
        raise NotSupportedError(f"recovering this: {refusal}") from refusal


@invariant
def well_formed_streams_are_read(implementation: Implementation, stream: Stream) -> None:
    """The messages of a well-formed stream are those that were written, field by field."""
    compare(stream.messages, Reading.of(implementation.parse(stream.tokens, stream.role)).messages)


@invariant
def parsed_messages_render_to_their_tokens(implementation: Implementation, stream: Stream) -> None:
    """Parsed and rendered, a well-formed stream is what it was, id by id.

    Where messages follow, one ends in `<|end|>`, not in the `<|return|>` that ended a turn.
    """
    found = list(implementation.rerender(stream.tokens, stream.role))
    prompt = ids(f"<|start|>{stream.role}") if stream.role else []
    before = [END if token == RETURN else token for token in stream.tokens[:-1]]
    meant = [*prompt, *before, stream.tokens[-1]]
    same_end = {END, RETURN} if meant[-1] != CALL else {CALL}
    if found[:-1] == meant[:-1] and found[-1] in same_end:
        return
    text, expected = spelled(found), spelled(meant)
    if text == expected:
        wrong("the same text in other tokens", f"{found} instead of {meant}")
    if sorted(text) == sorted(expected):
        wrong("a header in another order", f"{text!r} instead of {expected!r}")
    wrong("other tokens", f"{text!r} instead of {expected!r}")


@invariant
def any_stream_is_survived(implementation: Implementation, stream: Stream) -> None:
    """Whatever ids come, they are read or refused, and recovery refuses nothing."""
    with contextlib.suppress(RefusedError):
        implementation.parse(stream.tokens, stream.role)
    implementation.recover(stream.tokens, stream.role)


@invariant
def spans_are_the_tokens(implementation: Implementation, stream: Stream) -> None:
    """Of an implementation that tells spans: every token is in one of them, and text is that of its span."""
    reading = recovered(implementation, stream.tokens, stream.role)
    if reading.spans is None:
        raise NotSupportedError("spans")
    covered = [i for start, end, _, _ in reading.spans for i in range(start, end)]
    if covered != list(range(len(stream.tokens))):
        wrong("spans that are not the tokens", f"they cover {covered} of {len(stream.tokens)}")
    contents = {message: stream.tokens[a:b] for a, b, part, message in reading.spans if part == "content"}
    for i, message in enumerate(reading.messages):
        whole = to_text(contents.get(i, []))
        # One space may separate the content from a header without `<|message|>`.
        if message.text not in (whole, whole.removeprefix(" ")):
            wrong("a span of other text", f"message {i} says {message.text!r}, its span {whole!r}")
