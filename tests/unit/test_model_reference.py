"""The reference model, part by part, against what can be worked out on paper."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from harmony_py.errors import HarmonyError
from harmony_py.model.mxfp4 import unpack
from harmony_py.model.ops import TORCH, linear, swiglu
from harmony_py.model.random_weights import random_weights
from harmony_py.model.reference import attend, consult, forward, normalise, route, softmax_with_sink
from harmony_py.model.rope import concentration, paces, turns
from harmony_py.model.weights import Mxfp4
from tests.tiny_models import TINY, some_ids

WEIGHTS = random_weights(TINY, seed=3)
ATTENTION, EXPERTS = WEIGHTS.layers[0]


def some_numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def attended(x: torch.Tensor, window: int | None) -> torch.Tensor:
    return attend(x, ATTENTION, TINY, turns(TINY, torch.arange(len(x))), window)


def test_yarn_has_the_published_numbers() -> None:
    low, high = TINY.rope_ramp
    assert (low, high) == pytest.approx((8.092779115512402, 17.39802450158856), rel=1e-12)
    assert concentration(TINY) == pytest.approx(1.3465735902799727, rel=1e-12)


def test_paces_are_left_alone_slowed_or_between() -> None:
    found = paces(TINY).double()
    trained = torch.tensor([150_000.0 ** (-pair / 32) for pair in range(32)], dtype=torch.float64)
    ratio = found / trained
    torch.testing.assert_close(ratio[:9], torch.ones(9, dtype=torch.float64), rtol=1e-6, atol=0)
    torch.testing.assert_close(ratio[18:], torch.full((14,), 1 / 32, dtype=torch.float64), rtol=1e-6, atol=0)
    ramp = [(pair - 8.092779115512402) / (17.39802450158856 - 8.092779115512402) for pair in range(9, 18)]
    between = torch.tensor([1 - part + part / 32 for part in ramp], dtype=torch.float64)
    torch.testing.assert_close(ratio[9:18], between, rtol=1e-6, atol=0)


@pytest.mark.parametrize("position", [0, 4095, 4096, 131_071])
def test_turns_are_the_closed_formula(position: int) -> None:
    cos, sin = turns(TINY, torch.tensor([position]))
    angles = position * paces(TINY).double()
    # An angle is a float32: of 131,071 turns of one radian, the last hundredths are lost.
    near = 1e-6 + position * 2**-23
    torch.testing.assert_close(cos[0].double(), angles.cos() * 1.3465735902799727, rtol=0, atol=near)
    torch.testing.assert_close(sin[0].double(), angles.sin() * 1.3465735902799727, rtol=0, atol=near)


def test_pairs_are_half_a_head_apart() -> None:
    position, pace = 5, 150_000.0 ** (-3 / 32)
    turn = turns(TINY, torch.tensor([position]))
    head = torch.zeros(1, 1, 64)
    head[0, 0, 3] = 1
    turned = turn(head)[0, 0] / concentration(TINY)
    expected = torch.zeros(64)
    expected[3], expected[35] = math.cos(position * pace), math.sin(position * pace)
    torch.testing.assert_close(turned, expected)


def test_without_a_stretch_nothing_is_slowed() -> None:
    plain = replace(TINY, rope_factor=1.0)
    assert concentration(plain) == 1
    torch.testing.assert_close(paces(plain), 150_000.0 ** (-torch.arange(32) / 32))


@pytest.mark.parametrize("window", [16, None])
def test_a_token_is_seen_until_it_leaves_the_window(window: int | None) -> None:
    x = some_numbers(40, TINY.hidden)
    changed = x.clone()
    changed[5] += some_numbers(TINY.hidden, seed=1)
    same = (attended(x, window) == attended(changed, window)).all(dim=1)
    # The window counts the token itself: the last to see number 5 is number 20.
    last = 20 if window else 39
    assert [at for at in range(40) if not same[at]] == list(range(5, last + 1))


def test_in_a_model_the_first_layer_slides_and_the_second_does_not() -> None:
    changed_at = 5
    ids = some_ids(40)
    other = ids.clone()
    other[changed_at] = (other[changed_at] + 1) % TINY.vocab
    for layers, last in ((1, 20), (2, 39)):
        config = replace(TINY, layers=layers)
        weights = WEIGHTS._replace(layers=WEIGHTS.layers[:layers])
        same = (forward(weights, config, ids) == forward(weights, config, other)).all(dim=1)
        assert [at for at in range(40) if not same[at]] == list(range(changed_at, last + 1))


def test_a_sink_of_no_weight_is_none_and_a_heavy_one_takes_all() -> None:
    scores = some_numbers(4, 7, 7)
    never = torch.full((4, 1, 1), -torch.inf)
    torch.testing.assert_close(softmax_with_sink(scores, never), scores.softmax(dim=-1))
    assert softmax_with_sink(scores, torch.full((4, 1, 1), 1e4)).abs().max() == 0


def test_a_sink_scales_what_attention_gives() -> None:
    scores, sinks = some_numbers(4, 7, 7), some_numbers(4, 1, 1, seed=1)
    scale = torch.sigmoid(scores.logsumexp(dim=-1, keepdim=True) - sinks)
    torch.testing.assert_close(softmax_with_sink(scores, sinks), scores.softmax(dim=-1) * scale)


def test_a_sink_is_not_divided_as_scores_are() -> None:
    # One token: its score against itself is known, and the sink beside it.
    x = some_numbers(1, TINY.hidden)
    t = normalise(x, ATTENTION.norm, TINY.norm_eps)
    query = linear(t, ATTENTION.query, ATTENTION.query_bias).view(4, 64)
    key = linear(t, ATTENTION.key, ATTENTION.key_bias).view(2, 64).repeat_interleave(2, dim=0)
    value = linear(t, ATTENTION.value, ATTENTION.value_bias).view(2, 64).repeat_interleave(2, dim=0)
    # Turned alike, query and key keep their angle; each is stretched.
    score = (query * key).sum(dim=1) * concentration(TINY) ** 2 / 8
    mixed = value * torch.sigmoid(score - ATTENTION.sinks.float())[:, None]
    expected = linear(mixed.view(1, -1), ATTENTION.out, ATTENTION.out_bias)
    torch.testing.assert_close(attended(x, 16), expected)


def test_neighbouring_query_heads_share_a_key_head() -> None:
    x = some_numbers(3, TINY.hidden)
    unit = torch.eye(TINY.query_rows, dtype=torch.float32)
    see_all = ATTENTION._replace(out=unit, out_bias=torch.zeros(TINY.query_rows))
    silent = see_all._replace(value=ATTENTION.value.clone(), value_bias=ATTENTION.value_bias.clone())
    silent.value[:64], silent.value_bias[:64] = 0, 0
    turn = turns(TINY, torch.arange(3))
    heads = attend(x, silent, TINY, turn, None).view(3, 4, 64).abs().sum(dim=(0, 2))
    assert (heads[:2] == 0).all()
    assert (heads[2:] > 0).all()


def test_swiglu_by_hand() -> None:
    # gate, up, gate, up: even places are gates.
    numbers = torch.tensor([[1.0, 2.0, -3.0, 0.5]])
    expected = [1 / (1 + math.exp(-1.702)) * 3, -3 / (1 + math.exp(3 * 1.702)) * 1.5]
    torch.testing.assert_close(swiglu(numbers, 7.0), torch.tensor([expected]))


def test_swiglu_clamps_a_gate_above_and_an_up_on_both_sides() -> None:
    def at(gate: float, up: float) -> float:
        return swiglu(torch.tensor([gate, up]), 7.0).item()

    assert at(7.0, 0.0) == at(7.5, 0.0) == at(1e30, 0.0) < 7.0
    assert at(7.0, 0.0) > at(6.9, 0.0)
    assert at(-7.5, 0.0) != at(-7.0, 0.0)
    assert at(1.0, 7.0) == at(1.0, 8.0) == pytest.approx(8 * at(1.0, 0.0))
    assert at(1.0, -7.0) == at(1.0, -8.0) == pytest.approx(-6 * at(1.0, 0.0))
    assert at(1.0, -1.0) == 0


def test_shares_are_a_softmax_over_the_chosen_alone() -> None:
    scores = some_numbers(5, 8)
    chosen, shares = route(scores, 4)
    for token in range(5):
        best = sorted(range(8), key=lambda expert: -scores[token, expert])[:4]
        assert chosen[token].tolist() == best
        torch.testing.assert_close(shares[token], scores[token, best].softmax(dim=0))


def test_on_a_tie_the_first_expert_wins() -> None:
    chosen, shares = route(torch.tensor([[0.0, 1, 0, 1, 1, 0, 1, 1]]), 4)
    assert chosen.tolist() == [[1, 3, 4, 6]]
    assert shares.tolist() == [[0.25] * 4]
    # As many as the large model has: enough for a sort that is not stable to mix them.
    assert route(torch.zeros(2, 128), 4)[0].tolist() == [[0, 1, 2, 3]] * 2


def test_an_experts_bias_is_weighed_with_the_rest_of_it() -> None:
    x = some_numbers(3, TINY.hidden)
    before = consult(x, EXPERTS, TINY, TORCH)
    lifted = EXPERTS._replace(down_bias=EXPERTS.down_bias.float())
    lifted.down_bias[2] += 1
    after = consult(x, lifted, TINY, TORCH)
    t = normalise(x, EXPERTS.norm, TINY.norm_eps)
    chosen, shares = route(linear(t, EXPERTS.router, EXPERTS.router_bias), 4)
    share = torch.where(chosen == 2, shares, 0).sum(dim=1)
    assert (chosen == 2).any()
    torch.testing.assert_close(after - before, share[:, None].expand_as(after), rtol=0, atol=1e-5)


def test_bfloat16_is_the_same_model_rounded() -> None:
    x = some_numbers(40, TINY.hidden).bfloat16()
    turn = turns(TINY, torch.arange(40))
    # The same routes for both: a close call would otherwise send a token elsewhere.
    chosen, shares = route(linear(x, EXPERTS.router, EXPERTS.router_bias), 4)
    for exact, rounded in (
        (attend(x.float(), ATTENTION, TINY, turn, 16), attend(x, ATTENTION, TINY, turn, 16)),
        (
            TORCH.mixture(x.float(), chosen, shares, EXPERTS, 7.0),
            TORCH.mixture(x, chosen, shares, EXPERTS, 7.0),
        ),
    ):
        assert rounded.dtype == torch.bfloat16
        assert (rounded.float() - exact).norm() < 2e-2 * exact.norm()
    assert forward(WEIGHTS, TINY, some_ids(20), dtype=torch.bfloat16).dtype == torch.float32


def test_dense_experts_are_the_same_experts() -> None:
    assert isinstance(EXPERTS.gate_up, Mxfp4)
    assert isinstance(EXPERTS.down, Mxfp4)
    dense = EXPERTS._replace(gate_up=unpack(EXPERTS.gate_up), down=unpack(EXPERTS.down))
    x = some_numbers(7, TINY.hidden)
    assert torch.equal(consult(x, dense, TINY, TORCH), consult(x, EXPERTS, TINY, TORCH))


def test_no_ids_give_no_logits() -> None:
    assert forward(WEIGHTS, TINY, some_ids(0)).shape == (0, TINY.vocab)


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        (torch.tensor([1, -1, 2]), "id -1 at 1: expected 0 to 511"),
        (torch.tensor([1, 2, 512]), "id 512 at 2"),
        (torch.tensor([1, 2], dtype=torch.int32), r"expected int64 \[length\], found torch.int32 \[2\]"),
        (torch.tensor([[1, 2]]), r"found torch.int64 \[1, 2\]"),
    ],
)
def test_ids_that_are_none_are_named(ids: torch.Tensor, named: str) -> None:
    with pytest.raises(HarmonyError, match=named):
        forward(WEIGHTS, TINY, ids)
