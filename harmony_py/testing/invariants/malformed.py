"""Malformed streams: refused or read as they are meant, and recovered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harmony_py.testing.implementation import Fields, NotSupportedError, Reading, RefusedError
from harmony_py.testing.invariants.parsing import compare, recovered
from harmony_py.testing.invariants.violation import invariant, wrong
from harmony_py.testing.judge import find_fault
from harmony_py.testing.mutate import OPERATORS
from harmony_py.testing.tokens import of_segments, spelled
from harmony_py.tokenizer.special import CHANNEL, END_OF_TEXT, LAST_RESERVED, MESSAGE, START, START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harmony_py.testing.implementation import Implementation
    from harmony_py.testing.mutate import Mutated
    from harmony_py.testing.tokens import Stream


def _judge(meant: Sequence[Fields], messages: Iterable[Fields]) -> None:
    fault = find_fault(meant, list(messages))
    if fault is not None:
        wrong(fault.kind, fault.detail)


def _needs_tools(implementation: Implementation, mutated: Mutated) -> None:
    if mutated.tools and not implementation.knows_tools:
        raise NotSupportedError("correcting the names of tools")


@invariant
def malformed_streams_are_refused_or_read(implementation: Implementation, mutated: Mutated) -> None:
    """A parser that may refuse what is malformed refuses it, or reads what was meant: nothing in between."""
    if any(done.literal for done in mutated.done):
        raise NotSupportedError("refusing what the grammar allows")
    try:
        reading = Reading.of(implementation.parse(mutated.tokens, mutated.role))
    except RefusedError:
        return
    _judge(mutated.messages, reading.messages)


@invariant
def malformed_streams_are_recovered(implementation: Implementation, mutated: Mutated) -> None:
    """Recovery refuses nothing, and finds what was meant: no text lost, nothing invented, nothing misread."""
    _needs_tools(implementation, mutated)
    reading = Reading.of(implementation.recover(mutated.tokens, mutated.role, mutated.tools))
    _judge(mutated.messages, reading.messages)


_CONCERNS: Final[dict[str, Callable[[int], bool]]] = {
    "control_in_content": lambda token: START_OF_TEXT <= token <= LAST_RESERVED,
    "end_of_text": END_OF_TEXT.__eq__,
    "invalid_token": lambda token: not 0 <= token <= LAST_RESERVED,
    "missing_end": {START, CHANNEL}.__contains__,
}
"""What kind of token a repair concerns, where its code says so."""


@invariant
def repairs_are_reported_where_they_are(implementation: Implementation, mutated: Mutated) -> None:
    """Of an implementation that tells repairs: one is of the right kind, and concerns these tokens."""
    _needs_tools(implementation, mutated)
    reading = recovered(implementation, mutated.tokens, mutated.role, mutated.tools)
    if reading.diagnostics is None:
        raise NotSupportedError("diagnostics")
    for code, token, _ in reading.diagnostics:
        if code in _CONCERNS and not _CONCERNS[code]([*mutated.tokens, -1][token]):
            wrong("a repair of another token", f"{code} at token {token}")
    for done in mutated.done:
        codes = OPERATORS[done.pattern].codes
        start, end = done.span
        near = [
            code
            for code, token, (first, last) in reading.diagnostics
            if first <= token <= last and first <= end and start <= last
        ]
        if codes and not codes.intersection(near):
            wrong(
                "a repair that is not reported", f"{done.what} at tokens {done.span}: {reading.diagnostics}"
            )


@invariant
def spelling_is_no_structure(implementation: Implementation, stream: Stream) -> None:
    """A header that ordinary tokens spell is none: it is refused, or its words are words."""
    meant = stream.messages[0]
    own = 0 if stream.role else 2
    body = stream.tokens.index(MESSAGE)
    forged = of_segments([spelled(stream.tokens[own:body])])
    tokens = [*stream.tokens[:own], *forged, *stream.tokens[body:]]
    try:
        found = Reading.of(implementation.parse(tokens, stream.role)).messages
    except RefusedError:
        return
    if found and found[0].channel == meant.channel:
        wrong(
            "a header forged by text", f"spelled by ordinary tokens, it is read as channel {meant.channel!r}"
        )


@invariant
def refusals_are_forgotten(implementation: Implementation, stream: Stream) -> None:
    """After a refusal, the next message that begins with `<|start|>` is read as if nothing had been."""
    parser = implementation.stream("assistant")
    try:
        parser.feed(of_segments(["one two three", MESSAGE]))
    except RefusedError:
        pass
    else:
        raise NotSupportedError("refusing what is malformed")
    tokens = stream.tokens if stream.tokens[0] == START else of_segments([START, "assistant"]) + stream.tokens
    before = len(list(parser.messages()))
    parser.feed(tokens)
    parser.finish()
    compare(stream.messages, [Fields.of(message) for message in parser.messages()][before:])


@invariant
def prompts_are_resumed(implementation: Implementation, mutated: Mutated) -> None:
    """A completion whose first message the prompt has begun is read as the whole message."""
    found = Reading.of(implementation.resume(list(mutated.prompt), mutated.tokens)).messages
    compare(mutated.messages, found)


@invariant
def stripped_text_is_recovered(implementation: Implementation, mutated: Mutated) -> None:
    """Text that has lost its control tokens still tells what was said."""
    text = spelled(mutated.tokens)
    _judge(mutated.messages, Reading.of(implementation.parse_text(text, mutated.role, "stripped")).messages)
