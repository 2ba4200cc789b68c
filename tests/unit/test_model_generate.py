"""Answers, token by token: the same however they are run, ended where they should, stopped without harm."""

from __future__ import annotations

import io
import itertools
import math
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harmony_py.errors import PromptError, SamplingError
from harmony_py.model import Cache, Model, Sampling, Step, progress
from harmony_py.model.ops import TORCH
from harmony_py.model.random_weights import random_weights
from harmony_py.model.sample import Sampler
from harmony_py.model.speculate import Lookup
from tests.tiny_models import TINY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

CONFIG = replace(TINY, layers=2, hidden=64, vocab=300)
WINDOW = CONFIG.sliding_window
MODEL = Model(CONFIG, random_weights(CONFIG, seed=5), dtype=torch.float32, kernels="torch")
PROMPT = torch.randint(0, 300, (40,), generator=torch.Generator().manual_seed(6)).tolist()
GREEDY = Sampling(temperature=0, max_tokens=12)
SEEDED = Sampling(temperature=0.7, top_p=0.9, seed=7, max_tokens=12, logprobs=2)


def tokens(steps: Iterable[Step]) -> list[int]:
    return [step.token for step in steps]


def collect(steps: Iterable[Step], into: list[int]) -> None:
    for step in steps:
        into.append(step.token)


def same(found: list[Step], expected: list[Step]) -> bool:
    """The same tokens and ends; a logprob may differ by rounding where more or less was run at once."""
    alike = [
        (a.token, a.finish) == (b.token, b.finish) and math.isclose(a.logprob, b.logprob, abs_tol=1e-4)
        for a, b in zip(found, expected, strict=True)
    ]
    return all(alike)


def uncached(prompt: list[int], sampling: Sampling) -> list[int]:
    """What an answer is, computed anew for each token."""
    sampler, ids = Sampler(sampling, CONFIG.vocab), list(prompt)
    for step in range(sampling.max_tokens or 0):
        ids.append(sampler.draw(MODEL.logits(ids)[-1], step).token)
        if ids[-1] in sampling.stop:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("sampling", [GREEDY, SEEDED])
@pytest.mark.parametrize("length", [1, WINDOW, 40])
def test_an_answer_is_what_drawing_from_the_reference_gives(sampling: Sampling, length: int) -> None:
    expected = uncached(PROMPT[:length], sampling)
    for chunk in (7, 512):
        assert tokens(MODEL.generate(PROMPT[:length], sampling, chunk=chunk)) == expected


def test_logprobs_are_those_of_the_reference() -> None:
    steps = list(MODEL.generate(PROMPT, SEEDED))
    logits = MODEL.logits([*PROMPT, *tokens(steps)])[len(PROMPT) - 1 :].log_softmax(1)
    for step, expected in zip(steps, logits, strict=False):
        assert step.logprob == pytest.approx(float(expected[step.token]), abs=1e-4)
        likeliest = expected.topk(2)
        assert [token for token, _ in step.top_logprobs] == likeliest.indices.tolist()
        assert [value for _, value in step.top_logprobs] == pytest.approx(likeliest.values.tolist(), abs=1e-4)


def test_a_stop_token_ends_it_and_is_given() -> None:
    drawn = tokens(MODEL.generate(PROMPT, SEEDED))
    stop = drawn[5]
    end = drawn.index(stop)
    steps = list(MODEL.generate(PROMPT, Sampling(temperature=0.7, top_p=0.9, seed=7, stop=[stop])))
    assert tokens(steps) == drawn[: end + 1]
    assert [step.finish for step in steps] == [*[None] * end, "stop"]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_max_tokens_is_kept(count: int) -> None:
    generation = MODEL.generate(PROMPT, Sampling(max_tokens=count))
    steps = list(generation)
    assert [step.finish for step in steps] == [*[None] * (count - 1), "length"]
    assert generation.cache.length == len(PROMPT) + count - 1
    assert next(generation, None) is None


def test_no_tokens_read_the_prompt_into_the_cache() -> None:
    generation = MODEL.generate(PROMPT, Sampling(max_tokens=0))
    assert list(generation) == []
    assert generation.cache.tokens == PROMPT
    again = MODEL.generate([*PROMPT, 5], GREEDY, cache=generation.cache)
    assert tokens(again) == tokens(MODEL.generate([*PROMPT, 5], GREEDY))
    assert again.statistics.reused_tokens == len(PROMPT)


@pytest.mark.parametrize("speculate", [0, 4])
def test_a_full_context_ends_it(speculate: int) -> None:
    cache = Cache(CONFIG, max_context=45, dtype=torch.float32)
    steps = list(MODEL.generate(PROMPT, Sampling(temperature=0), cache=cache, speculate=speculate))
    assert [step.finish for step in steps] == [None, None, None, None, "context"]


def test_a_seed_is_told_and_draws_the_same_again() -> None:
    one = MODEL.generate(PROMPT, Sampling(max_tokens=12))
    other = MODEL.generate(PROMPT, Sampling(max_tokens=12))
    drawn = tokens(one)
    assert one.seed != other.seed
    assert tokens(other) != drawn
    assert tokens(MODEL.generate(PROMPT, Sampling(max_tokens=12, seed=one.seed))) == drawn


REPEATED = [*PROMPT[:10], *PROMPT[:10], *PROMPT[:10], *PROMPT[:2]]


@pytest.mark.parametrize(("speculate", "temperature"), [(1, 0), (4, 0.4), (15, 0)])
@pytest.mark.parametrize("prompt", [PROMPT, REPEATED])
def test_guessing_changes_nothing(speculate: int, temperature: float, prompt: list[int]) -> None:
    sampling = Sampling(temperature=temperature, seed=3, max_tokens=40)
    whole = list(MODEL.generate(prompt, sampling))
    end = next(i for i, step in enumerate(whole) if step.token == whole[17].token)
    stopped = [*whole[:end], whole[end]._replace(finish="stop")]
    stopping = Sampling(temperature=temperature, seed=3, max_tokens=40, stop=[whole[17].token])
    for asked, expected in ((sampling, whole), (stopping, stopped)):
        guessing = MODEL.generate(prompt, asked, speculate=speculate)
        assert same(list(guessing), expected)
        assert guessing.cache.tokens == [*prompt, *tokens(expected)][:-1]
        statistics = guessing.statistics
        assert statistics.accepted_tokens <= statistics.guessed_tokens
        assert statistics.steps + statistics.accepted_tokens == statistics.new_tokens - 1


class Few:
    """Only six tokens are allowed, so that two in a row come again before long."""

    def allowed(self) -> bytes:
        return b"\x3f" + bytes(CONFIG.vocab // 8)

    def advance(self, token: int) -> None:
        assert token < 6


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0, 3.0])
def test_with_the_processors_kernels_guessing_changes_not_a_bit(
    temperature: float, dtype: torch.dtype
) -> None:
    model = Model(CONFIG, MODEL.weights, kernels="rust", dtype=dtype)
    sampling = Sampling(temperature=temperature, seed=4, max_tokens=80, logprobs=3)
    expected = list(model.generate(PROMPT, sampling, mask=Few()))
    guessing = model.generate(PROMPT, sampling, mask=Few(), speculate=4)
    assert list(guessing) == expected
    assert guessing.statistics.guessed_tokens > guessing.statistics.accepted_tokens > 0
    masks = [Few(), Few()]
    batch = list(model.generate_batch([PROMPT, REPEATED], sampling, masks=masks, speculate=4))
    assert [step for row, step in batch if row == 0] == expected


class Circle:
    """Whatever the model says, only one token is allowed after each: it goes round in a circle of five."""

    at = 0

    def allowed(self) -> list[int]:
        return [self.at]

    def advance(self, token: int) -> None:
        self.at = (token + 1) % 5


def test_a_guess_that_ends_it_is_the_last() -> None:
    mask, prompt = Circle(), [*range(5), *range(5)]
    generation = MODEL.generate(prompt, Sampling(stop=[3]), mask=mask, speculate=4)
    assert [(step.token, step.finish) for step in generation][-2:] == [(2, None), (3, "stop")]
    assert mask.at == 4
    assert generation.cache.tokens == [*prompt, 0, 1, 2]
    assert generation.statistics.accepted_tokens == 2


def test_guesses_that_come_true_save_steps() -> None:
    generation = MODEL.generate(PROMPT, Sampling(max_tokens=41), mask=Circle(), speculate=4)
    assert tokens(generation) == [i % 5 for i in range(41)]
    statistics = generation.statistics
    assert statistics.steps < 20
    assert statistics.accepted_tokens == 40 - statistics.steps


def test_lookup_finds_the_last_place_of_the_longest_match() -> None:
    lookup = Lookup([1, 2, 3, 9, 1, 2, 3, 8, 5, 2, 3, 7])
    assert lookup.guess(4) == []
    lookup.extend([1, 2])
    assert lookup.guess(4) == [3, 8, 5, 2]
    lookup.extend([3])
    assert lookup.guess(2) == [8, 5]
    lookup.extend([4, 2, 3])
    assert lookup.guess(9) == [4, 2, 3]
    lookup.extend([0])
    assert lookup.guess(9) == []
    assert Lookup().guess(3) == []


class Recorder:
    """A mask that allows even tokens and keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def allowed(self) -> Tensor:
        return torch.arange(CONFIG.vocab) % 2 == len(self.told) % 2

    def advance(self, token: int) -> None:
        self.told.append(token)


@pytest.mark.parametrize("speculate", [0, 4])
def test_a_mask_is_asked_before_and_told_after_each_token(speculate: int) -> None:
    mask = Recorder()
    steps = list(MODEL.generate(REPEATED, Sampling(seed=1, max_tokens=30), mask=mask, speculate=speculate))
    assert mask.told == tokens(steps)
    assert [token % 2 for token in mask.told] == [i % 2 for i in range(30)]
    again = MODEL.generate(REPEATED, Sampling(seed=1, max_tokens=30), mask=Recorder())
    assert tokens(again) == mask.told


def test_a_mask_that_forbids_everything_is_an_error_and_the_steps_before_it_stay() -> None:
    class Ending(Recorder):
        def allowed(self) -> Any:
            return [] if len(self.told) == 3 else None

    generation = MODEL.generate(PROMPT, GREEDY, mask=Ending())
    found = list(itertools.islice(generation, 3))
    with pytest.raises(SamplingError, match="at least one token that mask and logit_bias leave"):
        next(generation)
    rest = MODEL.generate([*PROMPT, *tokens(found)], GREEDY, cache=generation.cache)
    assert tokens(found) + tokens(rest)[:9] == tokens(MODEL.generate(PROMPT, GREEDY))
    assert rest.statistics.reused_tokens == len(PROMPT) + 2


@pytest.mark.parametrize("speculate", [0, 3])
def test_a_batch_draws_what_each_would_alone(speculate: int) -> None:
    prompts = [PROMPT, PROMPT[:1], REPEATED, PROMPT[5:20]]
    samplings = [Sampling(temperature=0.5, seed=seed, max_tokens=5 * seed + 1) for seed in range(4)]
    batch = MODEL.generate_batch(prompts, samplings, speculate=speculate)
    found: list[list[Step]] = [[], [], [], []]
    for row, step in batch:
        found[row].append(step)
    for steps, prompt, sampling in zip(found, prompts, samplings, strict=True):
        assert same(steps, list(MODEL.generate(prompt, sampling)))
    assert [cache.length for cache in batch.caches] == [
        len(prompt) + len(steps) - 1 for prompt, steps in zip(prompts, found, strict=True)
    ]
    assert batch.seeds == [0, 1, 2, 3]
    assert [statistics.new_tokens for statistics in batch.statistics] == [1, 6, 11, 16]


def test_a_batch_takes_one_sampling_for_all() -> None:
    found: list[list[int]] = [[], []]
    for row, step in MODEL.generate_batch([PROMPT, PROMPT], SEEDED):
        found[row].append(step.token)
    assert found == [tokens(MODEL.generate(PROMPT, SEEDED))] * 2
    assert list(MODEL.generate_batch([], SEEDED)) == []


def test_the_next_turn_reuses_what_it_can() -> None:
    cache = MODEL.new_cache()
    # A system message and a question; message ends as harmony has them are ids that this vocabulary lacks.
    first = MODEL.generate(PROMPT, Sampling(temperature=0, max_tokens=100), cache=cache)
    thought = tokens(first)
    # The thought is left out: back beyond the slack, to the snapshot at the end of the prompt.
    second = [*PROMPT, *thought[90:], 1, 2, 3]
    again = MODEL.generate(second, GREEDY, cache=cache)
    answer = tokens(again)
    assert again.statistics.reused_tokens == len(PROMPT)
    assert answer == tokens(MODEL.generate(second, GREEDY))
    # Nothing is left out: everything but the last token, which was drawn and never run.
    third = [*second, *answer, 4]
    last = MODEL.generate(third, GREEDY, cache=cache)
    assert tokens(last) == tokens(MODEL.generate(third, GREEDY))
    assert last.statistics.reused_tokens == len(third) - 2
    # Another conversation altogether.
    other = MODEL.generate(PROMPT[::-1], GREEDY, cache=cache)
    assert tokens(other) == tokens(MODEL.generate(PROMPT[::-1], GREEDY))
    assert other.statistics.reused_tokens == 0


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("speculate", [0, 4])
def test_closing_leaves_the_cache_usable(count: int, speculate: int) -> None:
    generation = MODEL.generate(REPEATED, Sampling(temperature=0, max_tokens=50), speculate=speculate)
    found = tokens(itertools.islice(generation, count))
    generation.close()
    assert next(generation, None) is None
    rest = MODEL.generate([*REPEATED, *found], Sampling(temperature=0, max_tokens=9), cache=generation.cache)
    whole = tokens(MODEL.generate(REPEATED, Sampling(temperature=0, max_tokens=50)))
    assert found + tokens(rest) == whole[: count + 9]


@pytest.mark.parametrize("call", [0, 7, 13, 14, 22, 40])
def test_an_interrupt_leaves_the_cache_usable(call: int) -> None:
    calls = itertools.count()

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if next(calls) == call:
            raise KeyboardInterrupt
        return TORCH.linear(x, weight, bias)

    model = Model(CONFIG, MODEL.weights, dtype=torch.float32, kernels="torch")
    model.decoder = model.decoder._replace(kernels=TORCH._replace(linear=linear))
    found: list[int] = []
    generation = model.generate(PROMPT, GREEDY, chunk=25)
    with pytest.raises(KeyboardInterrupt):
        collect(generation, found)
    assert generation.cache.tokens == [*PROMPT, *found][: generation.cache.length]
    rest = MODEL.generate([*PROMPT, *found], GREEDY, cache=generation.cache)
    assert (found + tokens(rest))[:12] == tokens(MODEL.generate(PROMPT, GREEDY))


def test_progress_is_told_how_far_the_prompt_is_read() -> None:
    told: list[tuple[int, int]] = []
    generation = MODEL.generate(PROMPT, GREEDY, chunk=16, progress=lambda *numbers: told.append(numbers))
    assert told == []
    list(generation)
    assert told == [(0, 40), (16, 40), (32, 40), (40, 40)]
    told.clear()
    longer = [*PROMPT, *range(20)]
    list(MODEL.generate(longer, GREEDY, cache=generation.cache, chunk=16, progress=lambda *n: told.append(n)))
    assert told == [(40, 60), (56, 60), (60, 60)]


def test_a_bar_is_drawn_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, shown in ((io.StringIO(), ""), (Terminal(), "#" * 15 + " " * 15 + "] 1,000 of 2,000 tokens")):
        monkeypatch.setattr(sys, "stderr", stream)
        for done in (0, 1000, 2000):
            progress.bar(done, 2000)
        assert shown in stream.getvalue()
        assert bool(stream.getvalue()) == bool(shown)
    assert stream.getvalue().endswith("\r\x1b[K")
    progress.quantising(1, 97)
    assert stream.getvalue().endswith("] 1 of 97 matrices")


def test_statistics_add_up() -> None:
    generation = MODEL.generate(PROMPT, GREEDY)
    statistics = generation.statistics
    assert statistics.prefill_rate is None
    assert statistics.decode_rate is None
    assert statistics.share_of_floor(1e9) is None
    list(generation)
    assert (statistics.prompt_tokens, statistics.new_tokens, statistics.steps) == (40, 12, 11)
    assert statistics.decode_rate == pytest.approx(11 / statistics.decode_seconds)
    assert statistics.prefill_rate == pytest.approx(40 / statistics.prefill_seconds)
    assert statistics.bytes_per_token == MODEL.decoder.bytes_per_token(46)
    share = statistics.decode_rate * statistics.bytes_per_token / 1e9
    assert statistics.share_of_floor(1e9) == pytest.approx(share)


WRONG_PROMPTS: list[tuple[list[Any], str]] = [
    ([], "prompt: expected at least one token"),
    ([1, 300], "prompt, token index 1: expected an id from 0 to 299, found 300"),
    ([-1], "prompt, token index 0: expected an id from 0 to 299, found -1"),
    ([1, 2, "3"], "prompt, token index 2: expected an id from 0 to 299, found '3'"),
    ([1.5], "prompt, token index 0"),
    ([1] * 131_072, "prompt: 131072 tokens leave no room for an answer in a context of 131072"),
]


@pytest.mark.parametrize(("prompt", "words"), WRONG_PROMPTS, ids=[words for _, words in WRONG_PROMPTS])
def test_a_wrong_prompt_is_named_before_anything_runs(prompt: list[Any], words: str) -> None:
    cache = MODEL.new_cache()
    with pytest.raises(PromptError, match=words):
        MODEL.generate(prompt, cache=cache)
    with pytest.raises(PromptError, match=words):
        MODEL.generate_batch([PROMPT, prompt])
    assert cache.length == 0


@pytest.mark.parametrize("field", ["speculate", "chunk"])
def test_wrong_options_are_named(field: str) -> None:
    for value in (-1, 1.5, None):
        with pytest.raises(SamplingError, match=field):
            MODEL.generate(PROMPT, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(SamplingError, match="speculate: expected a number of guesses from 0 to 15; got 16"):
        MODEL.generate(PROMPT, speculate=16)


def test_a_batch_must_be_whole() -> None:
    cache = MODEL.new_cache()
    with pytest.raises(SamplingError, match="caches: expected a cache of its own for each prompt"):
        MODEL.generate_batch([PROMPT, PROMPT], caches=[cache, cache])
    with pytest.raises(SamplingError, match="sampling: expected one for each of 2 prompts; got '1'"):
        MODEL.generate_batch([PROMPT, PROMPT], [GREEDY])


def test_a_cache_of_another_model_is_refused() -> None:
    with pytest.raises(PromptError, match=r"the cache is of another model, or not in torch\.float32"):
        MODEL.generate(PROMPT, cache=Cache(CONFIG))


def test_any_row_of_ids_is_a_prompt() -> None:
    expected = tokens(MODEL.generate(PROMPT, GREEDY))
    for prompt in (tuple(PROMPT), torch.tensor(PROMPT), torch.tensor(PROMPT).numpy(), iter(PROMPT)):
        assert tokens(MODEL.generate(prompt, GREEDY)) == expected
