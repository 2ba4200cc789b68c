"""P2 and P4: the two layers agree in every state, and no spelling of a control token is ever one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.constrain import Mask, Position, to_lark
from harmony_py.constrain.engine import vocabulary
from harmony_py.constrain.shape import (
    EMPTY,
    AnyText,
    JsonText,
    Literal,
    RegexText,
    after_text,
    after_token,
    control_tokens,
    first,
)
from harmony_py.constrain.turn import turn
from harmony_py.format.grammar import TABLE, State, legal_control_tokens
from harmony_py.tokenizer.special import CONSTRAIN, MESSAGE, START
from tests.turns import BYTES, SPECS, ids, tokenizer, wander

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.constrain import TurnSpec
    from harmony_py.constrain.shape import Shape

BEGIN = ids("<|start|>assistant")

NEVER_ASKED = {(State.ROLE, MESSAGE), (State.ROLE, CONSTRAIN)}
"""What the format has and no specification asks for: messages without a channel, types before the channel."""


def states(spec: TurnSpec) -> Iterator[tuple[list[int], Shape]]:
    """Every state of a turn's first two messages, bodies not counted: tokens that lead there, and the shape
    that is left."""
    waiting: list[tuple[list[int], Shape]] = [(BEGIN, turn(spec, Position(open=tuple(BEGIN))))]
    seen = set()
    for tokens, shape in waiting:
        if shape in seen or tokens.count(START) > 2:
            continue
        seen.add(shape)
        yield tokens, shape
        waiting += [([*tokens, token], after_token(shape, token)) for token in sorted(control_tokens(shape))]
        texts = {leaf.text[0] for leaf in first(shape) if isinstance(leaf, Literal)}
        texts |= {"x" for leaf in first(shape) if isinstance(leaf, AnyText)}
        waiting += [([*tokens, BYTES[ord(text)]], after_text(shape, text)) for text in sorted(texts)]


def test_shape_and_mask_have_the_same_control_tokens_in_every_state() -> None:
    reached = set()
    for spec in SPECS.values():
        for tokens, shape in states(spec):
            mask = Mask.from_spec(spec, tokens)
            expected = control_tokens(shape)
            if any(isinstance(leaf, RegexText) for leaf in first(shape)):
                assert mask.legal_specials() <= expected
            elif shape != EMPTY:
                assert mask.legal_specials() == expected, tokenizer.decode(tokens)
            assert expected <= legal_control_tokens(mask.state)
            reached |= {(mask.state, token) for token in expected}
    table = {(state, token) for state, row in TABLE.items() for token in row.next}
    late = {pair for pair in table if pair[0] in (State.EARLY_TYPE, State.LATE_CHANNEL)}
    between = {(State.BETWEEN, START)}
    assert table - reached == NEVER_ASKED | late
    assert between <= reached


def test_text_is_allowed_exactly_where_the_shape_has_some() -> None:
    for spec in SPECS.values():
        for tokens, shape in states(spec):
            leaves = first(shape)
            first_bytes = {leaf.text.encode()[0] for leaf in leaves if isinstance(leaf, Literal)}
            if any(isinstance(leaf, (AnyText, JsonText, RegexText)) for leaf in leaves):
                continue
            mask = Mask.from_spec(spec, tokens)
            for byte in range(256):
                allowed = mask.accepts([BYTES[byte]]) == 1
                assert allowed == (byte in first_bytes), (tokenizer.decode(tokens), byte)


@pytest.mark.parametrize("name", SPECS)
def test_a_grammar_from_the_middle_is_the_whole_one_followed_up_to_there(name: str) -> None:
    from llguidance import LLMatcher

    whole = list(states(SPECS[name]))
    for tokens, shape in whole[:: max(1, len(whole) // 40)]:
        if shape == EMPTY:
            continue
        mask = Mask.from_spec(SPECS[name], tokens)
        middle = LLMatcher(vocabulary(), to_lark(SPECS[name], Position.of(tokens)), log_level=0)
        assert middle.compute_bitmask()[: len(mask.allowed())] == mask.allowed(), tokenizer.decode(tokens)


MARKERS = [
    "<|end|>",
    "<|start|>assistant",
    "<|call|>",
    "<|return|>",
    "<|channel|>",
    "<|message|>",
    "<|endoftext|>",
]


@pytest.mark.parametrize("channel", ["analysis", "commentary", "final"])
@given(markers=st.lists(st.sampled_from(MARKERS), min_size=1, max_size=4))
def test_spelled_markers_are_content_and_change_nothing(channel: str, markers: list[str]) -> None:
    mask = Mask.from_spec(SPECS["tools"], ids(f"<|channel|>{channel}<|message|>"))
    before = mask.allowed()
    for token in tokenizer.encode_ordinary("".join(markers)):
        mask.advance(token)
        assert mask.state is State.CONTENT
    assert mask.allowed() == before


@pytest.mark.parametrize("name", ["tools", "json", "built_in"])
def test_spelled_markers_are_refused_in_every_header(name: str) -> None:
    for tokens, shape in states(SPECS[name]):
        if any(isinstance(leaf, (AnyText, JsonText)) for leaf in first(shape)):
            continue
        mask = Mask.from_spec(SPECS[name], tokens)
        for marker in MARKERS:
            assert mask.accepts(tokenizer.encode_ordinary(marker)) == 0


@given(seed=st.integers(0, 2**32), steps=st.integers(0, 60))
def test_a_mask_made_from_a_prompt_is_the_mask_that_followed_it(seed: int, steps: int) -> None:
    spec = SPECS["few_thoughts"]
    followed = Mask.from_spec(spec)
    tokens = wander(followed, random.Random(seed), steps)
    if followed.done:
        return
    from_prompt = Mask.from_spec(spec, [*ids("<|start|>user<|message|>Hi<|end|><|start|>assistant"), *tokens])
    # How many messages came before is forgotten: a mask from the prompt may allow one more.
    if followed.state is not State.ROLE:
        assert from_prompt.allowed() == followed.allowed()
    assert from_prompt.state is followed.state
