"""How good the toy is: conversations it has not seen, word for word."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from harmony_py.model import checkpoint
from harmony_py.model.mxfp4 import unpack
from harmony_py.model.toy_checkpoint import SOURCE
from harmony_py.model.weights import Mxfp4, build, pick
from training import conversations as talk
from training.lessons import Lessons
from training.names import HELD_OUT_CITIES, KNOWN_CITIES, SKIES, Names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from harmony_py.model.weights import Weights
    from training.conversations import Sample, Situation, Turn

REAL_QUESTIONS = (
    "What is the capital of France?",
    "Why is the sky blue?",
    "Write a poem about the sea.",
    "Who wrote Hamlet?",
    "Tell me a joke.",
    "How do I bake bread?",
    "Explain quantum mechanics in simple terms.",
    "What is the meaning of life?",
    "Can you help me with my homework?",
    "Translate this sentence into German.",
    "How many planets are there?",
    "What should I cook tonight?",
)
"""As people ask; the lessons have only words drawn by chance in their place."""

SITUATION = talk.Situation("medium", has_tool=True, name=None)


def report(weights: Weights, seed: int, count: int = 100) -> list[str]:
    """One line for each kind of conversation: how many came out word for word."""
    lessons = Lessons(random.Random(seed))
    lines = []
    for name, samples in exams(random.Random(seed), count).items():
        right = lessons.exact(weights, samples)
        lines.append(f"{name:34} {sum(right):3} of {len(right):3}")
    return lines


def exams(random: random.Random, count: int) -> dict[str, list[Sample]]:
    """Conversations by kind."""
    names = Names()

    def many(make: Callable[[Situation], Turn], situation: Situation = SITUATION) -> list[Sample]:
        return [
            asked(random, names, make, situation._replace(effort=talk.EFFORTS[i % 3])) for i in range(count)
        ]

    def about(cities: tuple[str, ...]) -> Callable[[Situation], Turn]:
        def make(situation: Situation) -> Turn:
            question = random.choice(talk.WEATHER_QUESTIONS).format(city := random.choice(cities))
            degrees, sky = random.randint(-20, 45), random.choice(SKIES)
            said = f'{{"degrees": {degrees}, "sky": "{sky}"}}'
            return talk.weather_turn(question, situation.effort, city, f"{degrees} degrees and {sky}", said)

        return make

    def unknown(situation: Situation) -> Turn:
        return talk.unknown_turn(random.choice(REAL_QUESTIONS), situation.effort)

    def usual(make: Callable[..., Turn]) -> Callable[[Situation], Turn]:
        return lambda situation: make(random, names, situation)

    return {
        "weather, cities held out": many(about(HELD_OUT_CITIES)),
        "weather, cities known": many(about(KNOWN_CITIES)),
        "weather, names drawn by chance": many(usual(talk.weather)),
        "weather without a tool": many(usual(talk.weather), SITUATION._replace(has_tool=False)),
        "weather of no city": many(usual(talk.which_city)),
        "sums": many(usual(talk.total)),
        "small talk": many(usual(talk.social)),
        "the user's name, not told": many(usual(talk.recall)),
        "the user's name, told before": [
            remembered(random, names, talk.EFFORTS[i % 3]) for i in range(count)
        ],
        "questions as people ask": many(unknown),
        "three turns of anything": [talk.sample(random, names, 3) for _ in range(count)],
    }


def asked(
    random: random.Random, names: Names, make: Callable[[Situation], Turn], situation: Situation
) -> Sample:
    """A conversation of one turn."""
    messages = talk.opening(random, names, situation.effort, situation.has_tool)
    turn = make(situation)
    return talk.rendered(
        [*messages, talk.user(turn.question), *turn.messages],
        len(messages),
        situation.effort,
        "channel_first",
    )


def remembered(random: random.Random, names: Names, effort: str) -> Sample:
    """A name told, something else asked, the name asked for."""
    name = names.draw(random)
    situation = talk.Situation(effort, has_tool=True, name=name)
    messages = talk.opening(random, names, effort, has_tool=True)
    turns = [
        talk.introduction(random, effort, name),
        talk.weather(random, names, situation),
        talk.recall(random, names, situation),
    ]
    for turn in turns:
        last = len(messages)
        messages += [talk.user(turn.question), *turn.messages]
    return talk.rendered(messages, last, effort, "channel_first")


def kept(path: Path = SOURCE) -> Weights:
    """The layers of the checkpoint in `path`, unpacked."""
    opened = checkpoint.open(path)
    weights = opened.weights()

    def plain(name: str, layer: int | None) -> Tensor:
        tensor = pick(weights, name, layer)
        return unpack(tensor) if isinstance(tensor, Mxfp4) else tensor.float()

    return build(opened.config.layers, plain)
