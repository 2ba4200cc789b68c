"""Runners: answers in turns, batched ones as they would be alone, caches that find their conversation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from harmony_py.engines import Drawn
from harmony_py.errors import EngineError, PromptError, SamplingError
from harmony_py.model import Model, Sampling
from harmony_py.model.random_weights import random_weights
from harmony_py.serve.batched import Batched, Shelf
from harmony_py.serve.runners import Asked, Interleaved
from tests.serving import ANSWER, CALL, ENCODING, Says
from tests.tiny_models import TINY

CONFIG = replace(TINY, layers=2, hidden=64, vocab=300)
MODEL = Model(CONFIG, random_weights(CONFIG, seed=5), dtype=torch.float32, kernels="torch", max_context=200)
PROMPT = torch.randint(0, 300, (60,), generator=torch.Generator().manual_seed(6)).tolist()


def drain(runner: Any) -> dict[str, list[Any]]:
    """What every answer gets, step by step, until a step brings nothing."""
    found: dict[str, list[Any]] = {}
    while outcomes := list(runner.step()):
        for key, outcome in outcomes:
            found.setdefault(key, []).append(outcome)
    return found


def test_answers_take_turns() -> None:
    runner = Interleaved(Says(lambda prompt: CALL if prompt == "call" else ANSWER), slots=2)
    runner.start("a", Asked(ENCODING.encode("call"), {"max_tokens": 99}))
    runner.start("b", Asked(ENCODING.encode("answer"), {"max_tokens": 3}))
    assert [[key for key, _ in runner.step()] for _ in range(4)] == [["a", "b"]] * 3 + [["a"]]
    runner.stop("a")
    runner.stop("a")
    assert list(runner.step()) == []


def test_an_engine_that_just_ends_or_fails_is_over() -> None:
    class Odd:
        def generate(self, ids: Any, sampling: Any = None, *, mask: Any = None) -> Any:
            if ids == [1]:
                raise EngineError("odd", "no")
            return iter(()) if ids == [2] else iter(ids) if ids == [4] else self._fails()

        def _fails(self) -> Any:
            yield from ()
            raise OSError("gone")

    runner = Interleaved(Odd(), slots=4)
    with pytest.raises(EngineError):
        runner.start("a", Asked([1], {}))
    runner.start("b", Asked([2], {}))
    runner.start("c", Asked([3], {}))
    runner.start("d", Asked([4], {}))
    found = drain(runner)
    assert found["b"] == [None]
    assert isinstance(found["c"][0], OSError)
    assert "Odd: generate: expected steps" in str(found["d"][0])


def test_an_engine_that_fails_to_end_an_answer_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Clings:
        def generate(self, ids: Any, sampling: Any = None, *, mask: Any = None) -> Any:
            try:
                yield from map(Drawn, range(9))
            finally:
                raise OSError("never")

    runner = Interleaved(Clings(), slots=2)
    for key in ("a", "b"):
        runner.start(key, Asked([1], {}))
    list(runner.step())
    runner.stop("a")
    assert "never" in caplog.text
    assert [key for key, _ in runner.step()] == ["b"]
    runner.stop("b")
    assert list(runner.step()) == []


def alone(prompt: list[int], **sampling: Any) -> list[int]:
    return [step.token for step in MODEL.generate(prompt, Sampling(**sampling))]


def test_batched_answers_are_those_of_the_model() -> None:
    runner = Batched(MODEL, slots=4)
    asked: dict[str, tuple[list[int], dict[str, Any]]] = {
        "a": (PROMPT, {"temperature": 0, "max_tokens": 20, "stop": []}),
        "b": (PROMPT[:7], {"seed": 3, "max_tokens": 9, "stop": []}),
        "c": (PROMPT[5:50], {"seed": 4, "top_p": 0.8, "max_tokens": 14, "stop": []}),
    }
    for key, (prompt, sampling) in asked.items():
        runner.start(key, Asked(prompt, sampling))
    found = drain(runner)
    for key, (prompt, sampling) in asked.items():
        assert [step.token for step in found[key]] == alone(prompt, **sampling)


def test_the_next_turn_finds_its_cache() -> None:
    runner = Batched(MODEL, slots=2)
    settings = {"temperature": 0, "max_tokens": 8, "stop": []}
    runner.start("first", Asked(PROMPT[:30], settings))
    drawn = [step.token for step in drain(runner)["first"]]
    longer = [*PROMPT[:30], *drawn, *PROMPT[30:40]]
    runner.start("other", Asked(PROMPT[40:60], settings))
    runner.start("next", Asked(longer, settings))
    list(runner.step())
    assert (runner.reused("other"), runner.reused("next")) == (0, 37)
    runner.stop("other")
    assert [step.token for step in drain(runner)["next"]] == alone(longer, **settings)[1:]


def test_what_is_wrong_is_said_and_costs_no_cache() -> None:
    runner = Batched(MODEL, slots=1)
    runner.start("a", Asked(PROMPT[:30], {"max_tokens": 2, "stop": []}))
    drain(runner)
    with pytest.raises(PromptError):
        runner.start("b", Asked([*PROMPT[:30], 999], {}))
    with pytest.raises(SamplingError):
        runner.start("b", Asked(PROMPT[:30], {"temperature": -1}))
    runner.start("b", Asked(PROMPT[:40], {"max_tokens": 2, "stop": []}))
    list(runner.step())
    assert runner.reused("b") >= 30
    with pytest.raises(EngineError):
        Batched(MODEL, slots=0)


def test_an_answer_waits_until_there_is_memory_for_the_longest_it_may_become() -> None:
    one = 2 * CONFIG.cache_bytes(70, 4)
    runner = Batched(MODEL, slots=9, memory=int(2.5 * one))
    asked = Asked(PROMPT, {"temperature": 0, "max_tokens": 10, "stop": []})
    assert runner.takes(asked._replace(sampling={}))  # with nothing under way there always is room
    runner.start("a", asked)
    assert runner.takes(asked)
    assert not runner.takes(asked._replace(sampling={}))  # as long as the context is
    runner.start("b", asked)
    assert not runner.takes(asked)
    drain(runner)
    assert runner.takes(asked)


def test_kept_caches_make_room() -> None:
    one = 2 * CONFIG.cache_bytes(70, 4)
    asked = Asked(PROMPT, {"temperature": 0, "max_tokens": 10, "stop": []})
    for memory, reused in ((4 * one, 59), (0, 0)):
        runner = Batched(MODEL, slots=9, memory=memory)
        runner.start("a", asked)
        drain(runner)
        runner.start("b", asked)
        list(runner.step())
        assert runner.reused("b") == reused


def test_the_shelf_gives_the_nearest_and_forgets_the_oldest() -> None:
    def cache(tokens: list[int]) -> Any:
        made = MODEL.new_cache()
        MODEL.decoder.prefill(made, tokens)
        return made

    shelf = Shelf(2)
    first, second = cache(PROMPT[:20]), cache(PROMPT[:40])
    shelf.put(first)
    shelf.put(second)
    shelf.put(MODEL.new_cache())  # holds nothing: not worth a place
    assert len(shelf) == 2
    assert shelf.take(PROMPT[50:]) is None
    assert shelf.take(PROMPT[:15]) is first  # of the other it would throw most away
    assert shelf.take(PROMPT) is second
    for _ in range(3):
        shelf.put(cache(PROMPT[:5]))
    assert len(shelf) == 2
    shelf.put(long := cache([*PROMPT, *PROMPT]))
    copied = shelf.take(PROMPT[:40])
    assert copied is not None
    assert copied is not long
    assert copied.tokens == PROMPT[: copied.length]
    assert shelf.take(PROMPT[:20]) is None  # too little to be worth it
    assert long.tokens == [*PROMPT, *PROMPT]


def test_instructions_that_many_share_are_read_once() -> None:
    instructions, settings = PROMPT[:40], {"temperature": 0, "max_tokens": 6, "stop": []}
    runner = Batched(MODEL, slots=8)
    prompts = {f"{i}": [*instructions, *PROMPT[i : i + 3 + 30 * (i == 1)]] for i in range(1, 6)}
    runner.start("1", Asked(prompts["1"], settings))
    found = drain(runner)
    for key in ("2", "3", "4", "5"):
        runner.start(key, Asked(prompts[key], settings))
    first = list(runner.step())
    assert [runner.reused(key) for key, _ in first] == [40] * 4
    for key, outcome in first:
        found[str(key)] = [outcome]
    for key, outcomes in drain(runner).items():
        found[key] += outcomes
    for key, prompt in prompts.items():
        assert [step.token for step in found[key]] == alone(prompt, **settings)
