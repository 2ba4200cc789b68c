"""The bundled decode loop as an engine: one conversation's cache, and the loop's own errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harmony_py.engines.torch import TorchEngine
from harmony_py.errors import EngineError, HarmonyError
from harmony_py.model import Model, ModelConfig, Sampling
from harmony_py.model.random_weights import random_weights

if TYPE_CHECKING:
    from harmony_py.engines import Engine

CONFIG = ModelConfig(
    layers=2,
    experts=4,
    hidden=32,
    intermediate=32,
    heads=2,
    kv_heads=1,
    vocab=128,
    sliding_window=16,
)
GREEDY = Sampling(temperature=0, max_tokens=8)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(CONFIG, random_weights(CONFIG, seed=3))


def drawn(engine: Engine, prompt: list[int]) -> list[tuple[int, str | None]]:
    return [(step.token, step.finish) for step in engine.generate(prompt, GREEDY)]


def test_what_it_draws_is_what_the_model_draws_whatever_it_has_read_before(model: Model) -> None:
    engine, prompt = TorchEngine(model), list(range(40))
    assert engine.statistics is None
    cold = [(step.token, step.finish) for step in model.generate(prompt, GREEDY)]
    assert drawn(engine, prompt) == cold
    assert [finish for _, finish in cold] == [None] * 7 + ["length"]
    assert drawn(engine, [*prompt[:30], 7]) == drawn(TorchEngine(model), [*prompt[:30], 7])
    assert drawn(engine, prompt) == cold


def test_a_prompt_that_goes_on_reuses_the_one_before_and_its_answer(model: Model) -> None:
    engine, prompt = TorchEngine(model, speculate=2), list(range(40))
    answer = [token for token, _ in drawn(engine, prompt)]
    assert engine.statistics is not None
    assert engine.statistics.reused_tokens == 0
    read: list[int] = []
    longer = [*prompt, *answer, 1, 2, 3]
    following = TorchEngine(model, progress=lambda done, total: read.append(done))
    assert drawn(engine, longer) == drawn(following, longer)
    assert engine.statistics.reused_tokens >= len(prompt) + len(answer) - 1
    assert read[-1] == len(longer)


def test_an_answer_left_early_leaves_the_engine_ready(model: Model) -> None:
    engine, prompt = TorchEngine(model), list(range(40))
    steps = engine.generate(prompt, GREEDY)
    next(steps)
    steps.close()
    assert drawn(engine, prompt) == drawn(TorchEngine(model), prompt)


def test_sampling_may_be_a_mapping(model: Model) -> None:
    drawn = [step.token for step in TorchEngine(model).generate([1, 2], {"temperature": 0, "max_tokens": 3})]
    assert drawn == [step.token for step in model.generate([1, 2], Sampling(temperature=0, max_tokens=3))]
    with pytest.raises(EngineError, match="the bundled loop: unknown option 'temperatur'"):
        TorchEngine(model).generate([1, 2], {"temperatur": 0})


def test_a_prompt_that_is_none_is_refused_at_once(model: Model) -> None:
    with pytest.raises(HarmonyError, match="128"):
        TorchEngine(model).generate([128])
