"""P9: from logits that mean nothing, with a mask every turn is sound, and without one none is."""

from __future__ import annotations

import pytest
import torch

from harmony_py.constrain import Mask, TurnSpec, bits
from harmony_py.errors import HarmonyError
from harmony_py.tokenizer.special import ASSISTANT_ACTION_STOP_TOKENS, N_VOCAB
from tests.turns import BYTES, CONTROLS, SPECS, check_turn

LIMIT = 3000
TURNS = 8
ENDING = [*CONTROLS, *(BYTES[byte] for byte in b'"}],')]

# So likely that texts are short: a model would know by itself when to end them.
_BIAS = torch.zeros(N_VOCAB).index_fill_(0, torch.tensor(ENDING), 4.0)


def sampled(spec: TurnSpec | None, generator: torch.Generator) -> list[int]:
    """A turn drawn from random logits, new ones for every token; restricted to `spec` if there is one."""
    mask = None if spec is None else Mask.from_spec(spec)
    tokens: list[int] = []
    while len(tokens) < LIMIT and not (tokens and tokens[-1] in ASSISTANT_ACTION_STOP_TOKENS):
        logits = torch.randn(N_VOCAB, generator=generator) + _BIAS
        if mask is not None:
            logits = bits.restrict(logits, mask.allowed())
        tokens.append(int(logits.argmax()))
        if mask is not None:
            mask.advance(tokens[-1])
    return tokens


def is_sound(spec: TurnSpec, tokens: list[int]) -> bool:
    try:
        check_turn(spec, tokens)
    except (HarmonyError, AssertionError):
        return False
    return True


@pytest.mark.parametrize("name", ["tools", "named", "json", "regex"])
def test_with_a_mask_every_turn_parses_and_fits_its_schema(name: str) -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(7)
    for _ in range(TURNS):
        check_turn(SPECS[name], sampled(SPECS[name], generator))


def test_without_a_mask_none_does() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(7)
    turns = [sampled(None, generator) for _ in range(TURNS)]
    assert not any(is_sound(SPECS["tools"], turn) for turn in turns)
