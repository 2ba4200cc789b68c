"""Answers in a pool: each as it would be alone, whoever comes and goes; no prompt holds up the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harmony_py.errors import PromptError
from harmony_py.model import Model, Sampling, Step
from harmony_py.model.random_weights import random_weights
from tests.tiny_models import TINY

if TYPE_CHECKING:
    from harmony_py.model.generate import Answer

CONFIG = replace(TINY, layers=2, hidden=64, vocab=300)
MODEL = Model(CONFIG, random_weights(CONFIG, seed=5), dtype=torch.float32, kernels="torch")
PROMPT = torch.randint(0, 300, (90,), generator=torch.Generator().manual_seed(6)).tolist()
ASKED = [
    (PROMPT[:40], Sampling(temperature=0, max_tokens=12, stop=[])),
    (PROMPT, Sampling(temperature=0.8, seed=3, max_tokens=5, stop=[])),
    (PROMPT[:1], Sampling(temperature=0.7, top_p=0.9, seed=7, max_tokens=9, stop=[])),
    (PROMPT[20:80], Sampling(seed=4, max_tokens=1, stop=[])),
]


def alone(prompt: list[int], sampling: Sampling) -> list[tuple[int, str | None]]:
    return [(step.token, step.finish) for step in MODEL.generate(prompt, sampling)]


def run(
    arrivals: dict[int, list[Answer]], chunk: int, leaves: dict[int, Answer] | None = None
) -> dict[Answer, Any]:
    """What each answer draws, where some arrive before the step of this number, and some leave."""
    pool = MODEL.pool(chunk=chunk)
    drawn: dict[Answer, list[Any]] = {}
    number = 0
    while pool or arrivals:
        for answer in arrivals.pop(number, []):
            pool.add(answer)
            drawn[answer] = []
        if leaves and number in leaves:
            pool.remove(leaves[number])
        if pool:
            for answer, step in pool.step():
                drawn[answer].append(step)
        number += 1
    return drawn


@pytest.mark.parametrize("chunk", [7, 64, 512])
@pytest.mark.parametrize("times", [(0, 0, 0, 0), (0, 3, 1, 6), (5, 0, 2, 2)])
def test_who_joins_when_changes_nothing(chunk: int, times: tuple[int, ...]) -> None:
    answers = [MODEL.answer(*asked) for asked in ASKED]
    arrivals: dict[int, list[Answer]] = {}
    for time, answer in zip(times, answers, strict=True):
        arrivals.setdefault(time, []).append(answer)
    drawn = run(arrivals, chunk)
    for answer, asked in zip(answers, ASKED, strict=True):
        assert [(step.token, step.finish) for step in drawn[answer]] == alone(*asked)


@pytest.mark.parametrize("number", [0, 2, 6, 9])
def test_one_may_leave_at_any_time_and_its_cache_stays_good(number: int) -> None:
    answers = [MODEL.answer(*asked) for asked in ASKED[:2]]
    drawn = run({0: [answers[0]], 1: [answers[1]]}, 16, {number: answers[0]})
    steps = drawn[answers[0]]
    assert [(step.token, step.finish) for step in steps] == alone(*ASKED[0])[: len(steps)]
    assert len(steps) < 12
    assert [step.token for step in drawn[answers[1]]] == [token for token, _ in alone(*ASKED[1])]
    prompt, sampling = ASKED[0]
    again = MODEL.generate(prompt, sampling, cache=answers[0].cache)
    assert [(step.token, step.finish) for step in again] == alone(*ASKED[0])


def test_a_long_prompt_holds_up_neither_speakers_nor_short_prompts() -> None:
    speaker, long, short = (
        MODEL.answer(PROMPT[:5], Sampling(temperature=0, max_tokens=60, stop=[])),
        MODEL.answer(PROMPT, Sampling(temperature=0, max_tokens=1, stop=[])),
        MODEL.answer(PROMPT[:6], Sampling(temperature=0, max_tokens=1, stop=[])),
    )
    pool = MODEL.pool(chunk=10)
    pool.add(speaker)
    assert [answer for answer, _ in pool.step()] == [speaker]
    pool.add(long)
    pool.add(short)
    told = []
    while len(pool) > 1:
        told.append([answer for answer, _ in pool.step()])
    # A part of the long one, all of the short one, the rest of the long one: and the speaker in each step.
    assert told == [[speaker], [speaker, short], *[[speaker]] * 7, [speaker, long]]


class Stops:
    """A mask that fails at its third token."""

    def __init__(self) -> None:
        self.count = 0

    def allowed(self) -> None:
        self.count += 1
        if self.count == 3:
            raise ValueError("no more")

    def advance(self, token: int) -> None:
        pass


def test_what_goes_wrong_with_one_is_no_concern_of_the_others() -> None:
    broken = MODEL.answer(*ASKED[0], mask=Stops())
    sound = MODEL.answer(*ASKED[1])
    drawn = run({0: [broken, sound]}, 512)
    *before, last = drawn[broken]
    assert [(step.token, step.finish) for step in before] == alone(*ASKED[0])[:2]
    assert isinstance(last, ValueError)
    assert [(step.token, step.finish) for step in drawn[sound]] == alone(*ASKED[1])


def test_a_step_that_fails_leaves_all_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = MODEL.answer(*ASKED[0])
    pool = MODEL.pool(chunk=16)
    pool.add(answer)
    steps: list[Step | Exception] = []
    while len(steps) < 12:
        with monkeypatch.context() as patched:
            patched.setattr(type(answer.cache), "commit", lambda *_: exec("raise MemoryError"))
            with pytest.raises(MemoryError):
                list(pool.step())
        steps += [step for _, step in pool.step()]
    assert [(step.token, step.finish) for step in steps if isinstance(step, Step)] == alone(*ASKED[0])
    assert not pool


def test_what_is_wrong_is_said_before_it_joins() -> None:
    with pytest.raises(PromptError):
        MODEL.answer([])
