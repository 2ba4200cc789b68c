"""Every operator breaks a stream in the way it says, and our parser tells and mends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmony_py.format.grammar import CHANNELS
from harmony_py.format.parse import StreamableParser, parse
from harmony_py.format.text import parse_text
from harmony_py.testing.implementation import Fields
from harmony_py.testing.mutate import OPERATORS, Mutated, candidates, mutate
from harmony_py.testing.strategies import malformed, prose_tokens, well_formed
from harmony_py.testing.tokens import Stream, ids, spelled
from harmony_py.tokenizer.special import CALL, START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "text",
    [
        "<|channel|>reflection<|message|>Hi.<|return|>",
        f"<|channel|>commentary to=functions.f<|message|>{'[' * 990}{']' * 990}<|call|>",
    ],
)
def test_what_fits_can_be_done_to_any_stream(text: str) -> None:
    stream = Stream(ids(text), "assistant", ())
    for pattern, _ in candidates(stream):
        assert mutate(stream, 0, patterns=[pattern]).done


def fields_of(mutated: Mutated) -> tuple[Fields, ...]:
    result = parse(mutated.tokens, mutated.role, policy="recover", tools=mutated.tools)
    return tuple(map(Fields.of, result.messages))


def told(found: tuple[Fields, ...], meant: tuple[Fields, ...]) -> tuple[Fields, ...]:
    """`found`, but for the channels of assistants that nobody can tell."""
    return tuple(
        f._replace(channel=None) if m.channel is None and f.channel in CHANNELS else f
        for f, m in zip(found, meant, strict=True)
    )


def codes_of(mutated: Mutated) -> set[str]:
    result = parse(mutated.tokens, mutated.role, policy="recover", tools=mutated.tools)
    return {diagnostic.code for diagnostic in result.diagnostics}


def test_there_is_one_for_every_pattern() -> None:
    assert list(OPERATORS) == [f"M{i}" for i in range(1, 28)]


few = settings(max_examples=max(10, settings.default.max_examples // 2))

LOOKED_AT_TOKEN_BY_TOKEN = {"M23", "M27"}
"""The tokens alone do not tell what was meant: the text does, or the prompt."""


@pytest.mark.parametrize("pattern", [name for name in OPERATORS if name not in LOOKED_AT_TOKEN_BY_TOKEN])
@few
@given(data=st.data())
def test_what_was_meant_is_what_recovery_finds(pattern: str, data: st.DataObject) -> None:
    mutated = data.draw(malformed([pattern]))
    assert told(fields_of(mutated), mutated.messages) == mutated.messages
    codes = OPERATORS[pattern].codes
    assert not codes or codes & codes_of(mutated)


def _no_recipient(mutated: Mutated) -> bool:
    return any(f.content_type is not None and f.recipient is None for f in mutated.messages)


def _other_end(mutated: Mutated) -> bool:
    first, last = mutated.done[0].span
    return mutated.tokens[first:last] != [CALL]


def _invalid(mutated: Mutated) -> bool:
    return any("\ufffd" in f.text for f in mutated.messages)


def _no_json(mutated: Mutated) -> bool:
    def is_object(text: str) -> bool:
        try:
            return isinstance(json.loads(text), dict)
        except ValueError:
            return False

    return any(f.recipient and not is_object(f.text) for f in mutated.messages)


def _odd_space(mutated: Mutated) -> bool:
    return "\u00a0to=" in spelled(mutated.tokens) or "\u202fto=" in spelled(mutated.tokens)


ALLOWED: dict[str, Callable[[Mutated], bool]] = {
    "M7": _no_recipient,
    "M16": _other_end,
    "M21": _invalid,
    "M24": _no_json,
    "M26": _odd_space,
}
"""What the grammar allows is odd all the same."""


def test_every_pattern_without_a_diagnostic_is_looked_at() -> None:
    without = {name for name, operator in OPERATORS.items() if not operator.codes}
    assert without == set(ALLOWED) | LOOKED_AT_TOKEN_BY_TOKEN


@pytest.mark.parametrize("pattern", ALLOWED)
@few
@given(data=st.data())
def test_what_the_grammar_allows_is_odd_all_the_same(pattern: str, data: st.DataObject) -> None:
    assert ALLOWED[pattern](data.draw(malformed([pattern])))


@given(malformed(["M23"]))
def test_stripped_streams_hold_no_control_token(mutated: Mutated) -> None:
    assert max(mutated.tokens) < START_OF_TEXT
    result = parse_text(spelled(mutated.tokens), mutated.role, markers="stripped")
    assert tuple(map(Fields.of, result.messages)) == mutated.messages


@given(malformed(["M27"]))
def test_a_continuation_goes_on_where_its_prompt_ends(mutated: Mutated) -> None:
    parser = StreamableParser.from_prompt(None, mutated.prompt)
    parser.feed(mutated.tokens)
    parser.finish()
    assert tuple(map(Fields.of, parser.messages)) == mutated.messages


@given(well_formed(prose_tokens, complete=True), st.integers(0, 2**32), st.integers(1, 3))
def test_several_at_once_are_told_and_mended(stream: Stream, seed: int, count: int) -> None:
    patterns = [name for name in OPERATORS if name not in LOOKED_AT_TOKEN_BY_TOKEN]
    mutated = mutate(stream, seed, patterns=patterns, count=count)
    assert mutated == mutate(stream, seed, patterns=patterns, count=count)
    assert bool(mutated.done) == bool(candidates(stream, patterns))
    assert told(fields_of(mutated), mutated.messages) == mutated.messages
    for done in mutated.done:
        codes = OPERATORS[done.pattern].codes
        assert not codes or codes & codes_of(mutated)


@given(well_formed(prose_tokens, complete=True), st.integers(0, 2**32))
def test_what_was_done_stands_where_it_says(stream: Stream, seed: int) -> None:
    mutated = mutate(stream, seed, count=2)
    restored: list[int] = []
    at = 0
    for done in mutated.done:
        restored += [*mutated.tokens[at : done.span[0]], *stream.tokens[slice(*done.original)]]
        at = done.span[1]
    assert [*restored, *mutated.tokens[at:]] == stream.tokens


def test_an_example_in_full() -> None:
    tokens = ids("<|channel|>final<|message|>Hi.<|return|>")
    answer = Fields("assistant", channel="final", text="Hi.")
    mutated = mutate(Stream(tokens, "assistant", (answer,)), 0, patterns=["M13"])
    assert (mutated.done[0].pattern, mutated.done[0].what) == ("M13", "a space behind <|channel|>")
    assert spelled(mutated.tokens) == "<|channel|> final<|message|>Hi.<|return|>"
    assert mutated.messages == (answer,)


def test_where_nothing_fits_nothing_is_done() -> None:
    stream = Stream(ids("<|start|>user<|message|>Hi<|end|>"), None, (Fields("user", text="Hi"),))
    mutated = mutate(stream, 0, patterns=["M5"])
    assert (mutated.tokens, mutated.done) == (stream.tokens, ())
