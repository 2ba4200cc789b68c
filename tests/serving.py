"""Engines that say what a test wants, and a server over them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from harmony_py.engines import Drawn
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.serve import Background, Interleaved, Settings, application
from harmony_py.tokenizer.special import ASSISTANT_ACTION_STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harmony_py.engines import Mask

ENCODING = load_harmony_encoding()

ANSWER = "<|channel|>final<|message|>It rains in Łódź.<|return|>"
THOUGHT = "<|channel|>analysis<|message|>I should look.<|end|><|start|>assistant"
CALL = (
    THOUGHT
    + '<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Łódź"}<|call|>'
)


class Says:
    """An engine that gives to each prompt what `answer` makes of its text; as many at a time as you like.

    With a `gate` it draws a token whenever that is set, and waits otherwise.
    """

    def __init__(self, answer: Callable[[str], str] | str, gate: threading.Event | None = None) -> None:
        self._answer = answer
        self.gate = gate
        self.prompts: list[str] = []
        self.samplings: list[dict[str, Any]] = []
        self.drawn = 0
        self.ended = threading.Semaphore(0)
        """One more whenever a generation is over, be it that it was closed."""

    def generate(
        self, ids: Sequence[int], sampling: Any = None, *, mask: Mask | None = None
    ) -> Iterator[Drawn]:
        prompt = ENCODING.decode(ids)
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        text = self._answer if isinstance(self._answer, str) else self._answer(prompt)
        return self._steps(ENCODING.encode(text, allowed_special="all")[: sampling["max_tokens"]])

    def _steps(self, tokens: list[int]) -> Iterator[Drawn]:
        try:
            for place, token in enumerate(tokens, 1):
                if self.gate is not None:
                    assert self.gate.wait(20)
                self.drawn += 1
                finish = "stop" if token in ASSISTANT_ACTION_STOP_TOKENS else "length"
                yield Drawn(token, finish if place == len(tokens) else None)
        finally:
            self.ended.release()


class Script:
    """What to say, one answer after the other."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    def __call__(self, prompt: str) -> str:
        return self._answers.pop(0)


def last_words(prompt: str) -> str:
    """What the user said last."""
    return prompt.rpartition("<|start|>user<|message|>")[2].partition("<|end|>")[0]


def until(url: str, **gauges: int) -> None:
    """Wait for the server to count so many."""
    lines = {f"harmony_py_{name} {value}" for name, value in gauges.items()}
    deadline = time.monotonic() + 20
    while not lines <= set(httpx2.get(url + "/metrics").text.splitlines()):
        assert time.monotonic() < deadline, lines
        time.sleep(0.005)


@contextmanager
def serving(engine: Any, *, slots: int = 4, masks: bool = True, **settings: Any) -> Iterator[Background]:
    """A server on the loopback; `engine` may be a runner."""
    runner = engine if hasattr(engine, "slots") else Interleaved(engine, slots=slots, masks=masks)
    with Background(application(runner, Settings(models=("m",), **settings))) as server:
        yield server
