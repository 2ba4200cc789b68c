"""Continuous batching: answers that are drawn together, of which any may begin and end between two steps."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from harmony_py.model.forward import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from harmony_py.model.forward import Decoder, Row
    from harmony_py.model.generate import Answer, Progress, Step


class Pool:
    """Answers under way on one model. Not for several threads at a time.

    A step runs the model once for all of them: a token, and the guesses behind it, of each that speaks, and
    parts of the prompts that are not read yet, some `chunk` tokens in all. They take turns, so that a long
    prompt holds up neither the speakers nor the prompts behind it. Each draws what it would draw alone.
    """

    def __init__(self, decoder: Decoder, *, chunk: int = CHUNK, progress: Progress | None = None) -> None:
        self._decoder: Final = decoder
        self._chunk: Final = chunk
        self._progress: Final = progress
        self._reading: Final[deque[Answer]] = deque()
        self._speaking: Final[list[Answer]] = []

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._reading) + len(self._speaking)

    def add(self, answer: Answer) -> None:
        """Its first token comes with the step that has read the last of its prompt."""
        self._reading.append(answer)

    def remove(self, answer: Answer) -> None:
        """No more steps of it. Its cache holds whole tokens only, and is good for the next answer."""
        place: list[Answer] | deque[Answer] = self._reading if answer in self._reading else self._speaking
        place.remove(answer)

    def step(self) -> Iterator[tuple[Answer, Step | Exception]]:
        """The tokens that one run of the model brings about, each with its answer.

        An exception stands for an answer that cannot go on, because of its mask; it is out of the pool then,
        as one that is finished is. If the model itself fails, that is raised, and all stay as they were.
        """
        if not self:
            return
        speaking = self._speaking.copy()
        parts = self._parts()
        began = time.perf_counter()
        found = self._decoder.run([*(answer.step() for answer in speaking), *parts.values()])
        took = time.perf_counter() - began
        for answer, logits in zip(speaking, found, strict=False):
            answer.statistics.steps += 1
            answer.statistics.decode_seconds += took
            yield from self._drawn(answer, logits)
        for (answer, part), logits in zip(parts.items(), found[len(speaking) :], strict=True):
            answer.statistics.prefill_seconds += took
            self._has_read(answer, len(part.ids))
            if not answer.reading and not answer.finished:
                self._speaking.append(answer)
                yield from self._drawn(answer, logits)

    def _parts(self) -> dict[Answer, Row]:
        """What to read now. Each part is what it would be alone, so that sums are rounded alike."""
        parts: dict[Answer, Row] = {}
        total = 0
        for answer in self._reading:
            fresh = not answer.begun
            part = answer.part(self._chunk)
            if fresh and self._progress is not None:
                self._progress(answer.cache.length, len(answer.prompt))
            if parts and total + len(part.ids) > self._chunk:
                break
            parts[answer] = part
            total += len(part.ids)
        return parts

    def _has_read(self, answer: Answer, count: int) -> None:
        answer.has_read(count)
        # To the end of the line, if it stays in it.
        self._reading.remove(answer)
        if answer.reading:
            self._reading.append(answer)
        if self._progress is not None:
            self._progress(answer.cache.length, len(answer.prompt))

    def _drawn(self, answer: Answer, logits: Tensor) -> Iterator[tuple[Answer, Step | Exception]]:
        try:
            for step in answer.take(logits):
                if step.finish is not None:
                    self._speaking.remove(answer)
                yield answer, step
        except Exception as error:
            answer.finished = True
            self._speaking.remove(answer)
            yield answer, error
