"""Drawing a token: against a twin in plain Python, by statistics, and at the edges."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.errors import HarmonyError, SamplingError
from harmony_py.model.mask import permitted
from harmony_py.model.sample import BLOCK, STOP, Sampler, Sampling, candidates, pick, ranked, uniform
from harmony_py.tokenizer.special import CALL, END, END_OF_TEXT, RETURN

CPU = torch.device("cpu")


def twin(logits: list[float], sampling: Sampling) -> dict[int, float]:
    """The tokens that may be drawn and their probabilities, said as plainly as possible."""
    best = max(logits)
    weights = [math.exp((logit - best) / sampling.temperature) for logit in logits]
    order = sorted(range(len(logits)), key=lambda i: (-weights[i], i))
    order = order[: sampling.top_k or len(order)]
    total, kept, held = math.fsum(weights[i] for i in order), [], 0.0
    for i in order:
        if sampling.top_p is None or sampling.top_p == 1 or held < sampling.top_p * total:
            kept.append(i)
        held += weights[i]
    kept = [i for i in kept if weights[i] >= (sampling.min_p or 0)]
    total = math.fsum(weights[i] for i in kept)
    return {i: weights[i] / total for i in sorted(kept)}


# Quarters tie often, and their sums are exact until the exponential.
logits_lists = st.lists(st.integers(-40, 40).map(lambda n: n / 4), min_size=1, max_size=400)
settings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.5, 1.0, 2.0]),
    top_k=st.none() | st.integers(1, 30),
    # No sum of a few weights lies as near to these shares as rounding reaches.
    top_p=st.none() | st.sampled_from([0.1234567, 0.5123456, 0.9012345, 1.0]),
    min_p=st.none() | st.sampled_from([0.0, 0.012345, 0.3456789, 1.0]),
)


@given(logits_lists, settings)
def test_what_may_be_drawn_is_what_the_twin_says(logits: list[float], sampling: Sampling) -> None:
    expected = twin(logits, sampling)
    ids, weights = candidates(torch.tensor(logits), sampling)
    assert ids.tolist() == list(expected)
    shares = (weights / weights.sum()).tolist()
    assert shares == pytest.approx(list(expected.values()), rel=1e-5)


@pytest.mark.parametrize("flat", [False, True])
def test_a_nucleus_of_any_size_is_found(flat: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(20_000, generator=generator) * (0.01 if flat else 2.5)
    for top_p in (0.01, 0.2, 0.6, 0.99):
        sampling = Sampling(top_p=top_p)
        assert set(candidates(logits, sampling)[0].tolist()) == set(twin(logits.tolist(), sampling))


def test_a_nucleus_ends_with_the_token_that_completes_it() -> None:
    for top_p, count in ((0.25, 1), (0.5, 2), (0.51, 3), (0.75, 3), (0.76, 4)):
        ids, _ = candidates(torch.zeros(4), Sampling(top_p=top_p))
        assert ids.tolist() == list(range(count))
        ids, _ = candidates(torch.tensor([-9.0, 0, 0, 0, 0, 0]), Sampling(top_k=4, top_p=top_p))
        assert ids.tolist() == list(range(1, count + 1))


def test_a_weight_of_nothing_is_never_picked() -> None:
    weights = torch.tensor([0.0, 0.0, 1.0, 0.0, 3.0, 0.0])
    shares = (0.0, 0.2499, 0.25, 0.9999, 1 - 2**-53, 1.0)
    assert [pick(weights, share) for share in shares] == [2, 2, 4, 4, 4, 4]


def test_filters_that_take_nothing_away_change_nothing() -> None:
    logits = torch.randn(300, generator=torch.Generator().manual_seed(2))
    plain = Sampler(Sampling(seed=3), 300)
    idle = Sampler(Sampling(seed=3, top_k=300, top_p=1.0, min_p=0.0, logit_bias={5: 0.0}), 300)
    assert [plain.draw(logits, i) for i in range(50)] == [idle.draw(logits, i) for i in range(50)]


@given(logits_lists, st.integers(0, 500))
def test_of_equals_the_lower_id_ranks_first(values: list[float], count: int) -> None:
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:count]
    assert ranked(torch.tensor(values), count).tolist() == expected


def test_draws_follow_the_probabilities() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, -30.0, 0.5, -0.5, 1.5])
    sampling = Sampling(temperature=1.3, seed=11)
    sampler, draws = Sampler(sampling, 8), 20_000
    counts = Counter(sampler.draw(logits, step).token for step in range(draws))
    expected = {token: share * draws for token, share in twin(logits.tolist(), sampling).items()}
    rare = [token for token, count in expected.items() if count < 5]
    assert rare == [4]
    assert not counts[4]
    square = sum((counts[token] - count) ** 2 / count for token, count in expected.items() if count >= 5)
    # Six degrees of freedom: one run in a thousand exceeds this, and the seed is fixed.
    assert square < 22.5


def test_uniform_numbers_are_uniform_and_differ_by_seed_and_step() -> None:
    numbers = [uniform(seed, step) for seed in range(100) for step in range(200)]
    assert len(set(numbers)) == len(numbers)
    bins = Counter(int(number * 50) for number in numbers)
    square = sum((bins[i] - 400) ** 2 / 400 for i in range(50))
    assert square < 85.4  # 49 degrees of freedom, one in a thousand
    assert all(0 <= number < 1 for number in numbers)
    assert uniform(1, 12) != uniform(11, 2)


def test_the_same_seed_draws_the_same_whatever_else_is_drawn() -> None:
    logits = torch.randn(1000, generator=torch.Generator().manual_seed(4))
    one, other = Sampler(Sampling(seed=5), 1000), Sampler(Sampling(seed=6), 1000)
    alone = [one.draw(logits, step).token for step in range(20)]
    torch.manual_seed(0)
    among = []
    for step in reversed(range(20)):
        other.draw(logits, step)
        torch.rand(3)
        among.append(one.draw(logits, step).token)
    assert among[::-1] == alone
    assert [other.draw(logits, step).token for step in range(20)] != alone
    unseeded = {Sampler(Sampling(), 1000).seed for _ in range(5)}
    assert len(unseeded) == 5


def test_temperature_zero_takes_the_first_of_the_likeliest() -> None:
    logits = torch.tensor([1.0, 3.0, 3.0, 2.0])
    assert Sampler(Sampling(temperature=0, seed=1), 4).draw(logits, 0).token == 1
    assert Sampler(Sampling(temperature=0, logit_bias={3: 2.0}), 4).draw(logits, 0).token == 3
    allowed = torch.tensor([True, False, True, True])
    assert Sampler(Sampling(temperature=0), 4).draw(logits, 0, allowed).token == 2


def test_a_temperature_near_zero_is_no_trouble() -> None:
    logits = torch.tensor([1.0, 3.0, 2.999, -1e30])
    assert {Sampler(Sampling(temperature=1e-30, seed=1), 4).draw(logits, i).token for i in range(9)} == {1}


def test_one_token_left_is_drawn_however_unlikely() -> None:
    logits = torch.zeros(50)
    logits[7] = -200.0
    allowed = torch.zeros(50, dtype=torch.bool)
    allowed[7] = True
    for sampling in (Sampling(), Sampling(temperature=0), Sampling(top_p=0.1), Sampling(top_k=3, min_p=1)):
        drawn = Sampler(sampling, 50).draw(logits, 0, allowed)
        assert drawn.token == 7
        assert drawn.logprob == pytest.approx(-200 - math.log(49), abs=1e-3)


def test_forbidden_tokens_are_never_drawn() -> None:
    bias = {i: -math.inf for i in range(10) if i != 3}
    assert Sampler(Sampling(logit_bias=bias, top_k=5), 10).draw(torch.zeros(10), 0).token == 3


@pytest.mark.parametrize(
    ("logits", "allowed", "words"),
    [
        ([0.0, 1.0], [False, False], "at least one token that mask and logit_bias leave"),
        ([-math.inf, -math.inf], None, "they forbid every one"),
        ([0.0, math.nan], None, "none of them NaN"),
        ([0.0, math.inf], None, "finite numbers"),
    ],
)
@pytest.mark.parametrize("temperature", [0, 1])
def test_nothing_to_draw_is_an_error(
    logits: list[float], allowed: list[bool] | None, words: str, temperature: float
) -> None:
    mask = None if allowed is None else torch.tensor(allowed)
    with pytest.raises(SamplingError, match=words) as caught:
        Sampler(Sampling(temperature=temperature), 2).draw(torch.tensor(logits), 0, mask)
    assert caught.value.field == "logits"


def test_logprobs_are_the_models_own() -> None:
    logits = torch.randn(40, generator=torch.Generator().manual_seed(7))
    own = logits.double().log_softmax(0).tolist()
    sampling = Sampling(temperature=0.3, top_k=2, logit_bias={0: 50.0}, logprobs=4)
    drawn = Sampler(sampling, 40).draw(logits, 0)
    assert drawn.token == 0
    assert drawn.logprob == pytest.approx(own[0], abs=1e-5)
    order = sorted(range(40), key=lambda i: -own[i])[:4]
    assert [token for token, _ in drawn.top_logprobs] == order
    assert [value for _, value in drawn.top_logprobs] == pytest.approx([own[i] for i in order], abs=1e-5)
    assert len(Sampler(Sampling(logprobs=99), 40).draw(logits, 0).top_logprobs) == 40


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"temperature": -1}, "temperature: expected a finite number from 0; got -1"),
    ({"temperature": math.nan}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"temperature": "1"}, "temperature"),
    ({"top_k": 0}, "top_k: expected None or an integer from 1; got 0"),
    ({"top_k": 1.5}, "top_k"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": 1.1}, "top_p"),
    ({"min_p": -0.1}, "min_p"),
    ({"seed": 1.0}, "seed"),
    ({"logprobs": None}, "logprobs"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"logit_bias": [1]}, "logit_bias: expected a mapping"),
    ({"logit_bias": {"a": 1}}, "logit_bias: expected ids of tokens as keys; got 'a'"),
    ({"logit_bias": {3: math.inf}}, r"logit_bias\[3\]"),
    ({"logit_bias": {3: None}}, r"logit_bias\[3\]"),
    ({"stop": None}, "stop: expected a collection"),
    ({"stop": ["<|return|>"]}, "stop: expected ids of tokens"),
]


@pytest.mark.parametrize(("fields", "words"), WRONG, ids=[str(fields) for fields, _ in WRONG])
def test_a_wrong_setting_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SamplingError, match=words) as caught:
        Sampling(**fields)
    assert isinstance(caught.value, HarmonyError)


def test_ids_beyond_the_vocabulary_are_named() -> None:
    with pytest.raises(SamplingError, match="logit_bias: expected ids below the vocabulary's 100; got 100"):
        Sampler(Sampling(logit_bias={100: 1.0}), 100)
    with pytest.raises(SamplingError, match="stop"):
        Sampler(Sampling(stop=[5, 100]), 100)
    Sampler(Sampling(), 100)


def test_a_turn_ends_where_harmony_says_and_in_no_message_end() -> None:
    assert {RETURN, CALL, END_OF_TEXT} == STOP
    assert END not in STOP


@given(st.sets(st.integers(0, 99), min_size=1), st.sampled_from([99 + 1, 200]))
def test_masks_of_every_form_say_the_same(ids: set[int], vocab: int) -> None:
    flags = [token in ids for token in range(vocab)]
    number = sum(1 << token for token in ids)
    packed = number.to_bytes(-(-vocab // 32) * 4, "little")
    words = torch.frombuffer(bytearray(packed), dtype=torch.int32)
    forms: list[object] = [
        torch.tensor(flags),
        words,
        words.view(torch.uint8),
        packed,
        packed + b"\xff\xff",
        memoryview(packed).cast("i"),
        words.numpy(),
        torch.tensor(flags).numpy(),
        torch.tensor(sorted(ids)).numpy(),
        array("q", sorted(ids)),
        sorted(ids),
        ids,
        iter(ids),
        torch.tensor(sorted(ids)),
    ]
    for form in forms:
        found = permitted(form, vocab, CPU)
        assert found is not None
        assert found.tolist() == flags
    assert permitted(None, vocab, CPU) is None


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (torch.ones(99, dtype=torch.bool), "expected 100 elements for 100 tokens; got '99 of 1 bits'"),
        (torch.ones(101, dtype=torch.bool), "100 elements"),
        (torch.ones(3, dtype=torch.int32), "4 elements"),
        (b"\x00" * 12, "13 elements"),
        (b"", "13 elements"),
        ([100], "ids from 0 to 99; got 100"),
        ([-1], "ids from 0 to 99; got -1"),
        ([1.5], "ids from 0 to 99"),
        (bytes(100), "13 elements"),
        (5, "None, a boolean for each token, packed bits or ids"),
    ],
)
def test_a_mask_that_does_not_fit_is_an_error(form: object, words: str) -> None:
    with pytest.raises(SamplingError, match=words):
        permitted(form, 100, CPU)


def test_an_empty_list_of_ids_forbids_everything() -> None:
    found = permitted([], 100, CPU)
    assert found is not None
    assert not found.any()


@pytest.mark.parametrize("length", [1, 5, BLOCK, BLOCK + 1, 10 * BLOCK - 3])
def test_blocks_find_the_place_that_a_running_sum_over_all_does(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    # Eighths: their sums are exact, in any order.
    weights = torch.randint(0, 3, (length,), generator=generator) / 8
    weights[-1] = 1
    sums = weights.cumsum(0, dtype=torch.float64)
    shares = [0.0, 0.25, 0.5, 1 - 2**-53, *torch.rand(200, generator=generator).tolist()]
    for share in shares:
        expected = int(torch.searchsorted(sums, sums[-1] * share, right=True).clamp(max=length - 1))
        assert pick(weights, share) == expected
        assert weights[expected] > 0
