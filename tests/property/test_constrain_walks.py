"""P1, P5, P6: whatever way one takes through a mask, it ends, and what it spelled is what was asked for."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.constrain import ControlMask, Mask, bits
from harmony_py.tokenizer.special import END_OF_TEXT, START_OF_TEXT
from tests.turns import SPECS, check_turn, finish, wander


@pytest.mark.parametrize("name", SPECS)
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 120))
def test_every_walk_ends_and_satisfies_the_specification(name: str, seed: int, steps: int) -> None:
    mask = Mask.from_spec(SPECS[name])
    tokens = wander(mask, random.Random(seed), steps)
    tokens += finish(mask)
    check_turn(SPECS[name], tokens)
    assert bits.count(mask.allowed()) == 1
    assert bits.has(mask.allowed(), END_OF_TEXT)


@pytest.mark.parametrize("name", SPECS)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_rollback_restores_every_mask_bit_for_bit(name: str, seed: int, data: st.DataObject) -> None:
    mask = Mask.from_spec(SPECS[name])
    chance = random.Random(seed)
    seen = [mask.allowed()]
    for _ in range(40):
        if wander(mask, chance, 1):
            seen.append(mask.allowed())
    back = data.draw(st.integers(0, len(seen) - 1))
    mask.rollback(back)
    for _ in range(back):
        seen.pop()
    assert mask.allowed() == seen[-1]
    twin = mask.copy()
    again = wander(mask, random.Random(seed), 10)
    for token in again:
        twin.advance(token)
    assert twin.allowed() == mask.allowed()
    mask.rollback(len(again))
    assert mask.allowed() == seen[-1]


@pytest.mark.parametrize("name", ["tools", "few_thoughts", "tree"])
@given(seed=st.integers(0, 2**32), length=st.integers(0, 12), spoilt=st.integers(0, 12))
def test_drafts_are_accepted_up_to_the_first_token_that_is_not_allowed(
    name: str, seed: int, length: int, spoilt: int
) -> None:
    mask = Mask.from_spec(SPECS[name])
    chance = random.Random(seed)
    wander(mask, chance, 20)
    before = mask.allowed()
    draft = wander(mask.copy(), chance, length)
    assert mask.accepts(draft) == len(draft)
    assert mask.accepts([*draft[:spoilt], START_OF_TEXT, *draft]) == len(draft[:spoilt])
    assert mask.allowed() == before


@pytest.mark.parametrize("name", SPECS)
@given(seed=st.integers(0, 2**32))
def test_a_mask_allows_control_tokens_only_where_the_format_has_them(name: str, seed: int) -> None:
    mask, controls = Mask.from_spec(SPECS[name]), ControlMask()
    chance = random.Random(seed)
    for _ in range(60):
        assert mask.legal_specials() <= controls.legal_specials()
        assert mask.state is controls.state
        assert bits.both(mask.allowed(), controls.allowed()) == mask.allowed()
        for token in wander(mask, chance, 1):
            controls.advance(token)
    assert mask.done == controls.done
