"""From a prompt to an answer, a token at a time: prefill, draw, step, and when to stop.

One answer is a batch of one, and a batch is a `Pool` that nobody joins any more. Each `Answer` has a cache,
a sampler and a mask of its own, so that what it draws does not depend on who steps beside it, nor on how much
was guessed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from harmony_py.errors import PromptError, SamplingError
from harmony_py.model import ids
from harmony_py.model.forward import CHUNK, FEW, Row
from harmony_py.model.mask import permitted
from harmony_py.model.pool import Pool
from harmony_py.model.sample import Sampler
from harmony_py.model.speculate import Lookup
from harmony_py.model.statistics import Statistics
from harmony_py.tokenizer.special import STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from typing import SupportsIndex

    from torch import Tensor

    from harmony_py.model.cache import Cache
    from harmony_py.model.forward import Decoder
    from harmony_py.model.mask import Mask
    from harmony_py.model.sample import Sampling

Finish: TypeAlias = Literal["stop", "length", "context"]
Progress: TypeAlias = "Callable[[int, int], object]"


class Step(NamedTuple):
    """One token that was drawn."""

    token: int
    logprob: float
    """Of this token, as the model has it, before mask, bias and filters."""
    top_logprobs: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens and theirs, as many as `Sampling.logprobs` says."""
    finish: Finish | None = None
    """Set on the last step: a stop token was drawn, `max_tokens` were, or the context is full."""


class Options(NamedTuple):
    """How it is run, which does not change what comes out."""

    speculate: int = 0
    chunk: int = CHUNK
    progress: Progress | None = None

    def checked(self) -> Options:
        if not isinstance(self.speculate, int) or not 0 <= self.speculate < FEW:
            raise SamplingError("speculate", self.speculate, f"a number of guesses from 0 to {FEW - 1}")
        if not isinstance(self.chunk, int) or self.chunk < 1:
            raise SamplingError("chunk", self.chunk, "a number of tokens from 1")
        return self


class Generation(Iterator[Step]):
    """The steps of one answer. Nothing is computed before the first is asked for.

    It may be left at any time: by `close`, by an exception, by Ctrl-C. The cache then holds the prompt and
    whatever followed it, whole tokens only, and is good for the next call.
    """

    def __init__(self, decoder: Decoder, answer: Answer, options: Options) -> None:
        self._answer: Final = answer
        self._steps: Final = _run(decoder, [answer], options)

    @property
    def statistics(self) -> Statistics:
        return self._answer.statistics

    @property
    def cache(self) -> Cache:
        """Give it to the next call, and what both prompts begin with is not run again."""
        return self._answer.cache

    @property
    def seed(self) -> int:
        """With this as `Sampling.seed` the same tokens are drawn again."""
        return self._answer.sampler.seed

    def __next__(self) -> Step:
        return next(self._steps)[1]

    def close(self) -> None:
        """No more steps."""
        self._steps.close()


class Batch(Iterator[tuple[int, Step]]):
    """The steps of several answers, each with its prompt's index. When one ends the others go on.

    Each is as `Generation` says, and draws what it would draw alone.
    """

    def __init__(self, decoder: Decoder, answers: Sequence[Answer], options: Options) -> None:
        self._answers: Final = answers
        self._steps: Final = _run(decoder, answers, options)

    @property
    def statistics(self) -> list[Statistics]:
        return [answer.statistics for answer in self._answers]

    @property
    def caches(self) -> list[Cache]:
        return [answer.cache for answer in self._answers]

    @property
    def seeds(self) -> list[int]:
        return [answer.sampler.seed for answer in self._answers]

    def __next__(self) -> tuple[int, Step]:
        return next(self._steps)

    def close(self) -> None:
        """No more steps."""
        self._steps.close()


def start(
    decoder: Decoder,
    prompt: Iterable[SupportsIndex],
    sampling: Sampling,
    mask: Mask | None,
    cache: Cache,
    options: Options,
) -> Answer:
    """An answer that is ready to run; whatever is wrong with what was asked is found here."""
    checked = checked_prompt(prompt, decoder.config.vocab)
    if (cache.config, cache.dtype) != (decoder.config, decoder.dtype):
        raise PromptError(f"the cache is of another model, or not in {decoder.dtype}")
    room = cache.max_context - len(checked)
    if room < 0 or (room == 0 and sampling.max_tokens != 0):
        context = cache.max_context
        raise PromptError(f"{len(checked)} tokens leave no room for an answer in a context of {context}")
    return Answer(decoder, checked, Sampler(sampling, decoder.config.vocab), mask, cache, options.checked())


def checked_prompt(prompt: Iterable[SupportsIndex], vocab: int) -> list[int]:
    """The ids as plain ints, none of them beyond the vocabulary, and at least one."""

    def wrong(place: int, value: object) -> PromptError:
        return PromptError(f"expected an id from 0 to {vocab - 1}, found {value!r}", place)

    found = ids.checked(prompt, vocab, wrong)
    if not found:
        raise PromptError("expected at least one token: the model goes on from something")
    return found


class Answer:
    """One answer under way."""

    def __init__(
        self,
        decoder: Decoder,
        prompt: list[int],
        sampler: Sampler,
        mask: Mask | None,
        cache: Cache,
        options: Options,
    ) -> None:
        self.prompt = prompt
        self.sampler = sampler
        self.cache = cache
        self.statistics = Statistics(decoder, len(prompt))
        self.finished = sampler.sampling.max_tokens == 0
        self.reading = True
        """Whether there is more of the prompt to run."""
        self.begun = False
        """Whether the cache was asked what it holds of the prompt."""
        self._mask = mask
        self._guesses = options.speculate
        self._lookup = Lookup(prompt) if options.speculate else None
        self._last = prompt[-1]
        self._guessed: list[int] = []

    def part(self, chunk: int) -> Row:
        """The next part of the prompt to run. What the cache holds already is not run again."""
        if not self.begun:
            self.begun = True
            self.statistics.reused_tokens = self.cache.reuse(self.prompt)
        read = self.cache.length
        part = self.prompt[read : read + chunk]
        return Row(self.cache, part, wanted=int(read + len(part) == len(self.prompt)))

    def has_read(self, count: int) -> None:
        """So many more tokens of the prompt were run. Where messages end another prompt may part from this,
        and where this one ends most do: the cache can go back there."""
        read = self.cache.length
        for place in range(read - count + 1, read + 1):
            if place == len(self.prompt) or self.prompt[place - 1] in STOP_TOKENS:
                self.cache.snapshot(place)
        self.reading = read < len(self.prompt)

    def step(self) -> Row:
        """What to run next: the last token, and behind it what may follow."""
        most = min(self._guesses, self._room() - 1, self.cache.max_context - self.cache.length - 1)
        self._guessed = self._lookup.guess(most) if self._lookup and most > 0 else []
        self.statistics.guessed_tokens += len(self._guessed)
        return Row(self.cache, [self._last, *self._guessed], wanted=1 + len(self._guessed))

    def take(self, logits: Tensor) -> Iterator[Step]:
        """Draw where the model was run, until it draws something else than was guessed."""
        guessed, self._guessed = self._guessed, []
        sure = self.cache.length - len(guessed)
        for place, row in enumerate(logits):
            step = self._draw(row)
            right = place < len(guessed) and guessed[place] == step.token and step.finish is None
            if right:
                self.statistics.accepted_tokens += 1
            elif guessed:
                self.cache.truncate(sure + place)
            yield step
            if not right:
                return

    def _draw(self, logits: Tensor) -> Step:
        began = time.perf_counter()
        allowed = None if self._mask is None else self._mask.allowed()
        count = self.statistics.new_tokens
        token, logprob, top = self.sampler.draw(logits, count, permitted(allowed, len(logits), logits.device))
        if self._mask is not None:
            self._mask.advance(token)
        if self._lookup is not None:
            self._lookup.extend([token])
        self._last = token
        self.statistics.count(time.perf_counter() - began)
        finish = self._finish(token)
        self.finished = finish is not None
        return Step(token, logprob, top, finish)

    def _finish(self, token: int) -> Finish | None:
        if token in self.sampler.sampling.stop:
            return "stop"
        if self.statistics.new_tokens == self.sampler.sampling.max_tokens:
            return "length"
        return "context" if self._room() == 0 else None

    def _room(self) -> int:
        """How many tokens may still be drawn."""
        room = self.cache.max_context - len(self.prompt) - self.statistics.new_tokens
        most = self.sampler.sampling.max_tokens
        return room if most is None else min(room, most - self.statistics.new_tokens)


def _run(
    decoder: Decoder, answers: Sequence[Answer], options: Options
) -> Generator[tuple[int, Step], None, None]:
    """Every answer's steps, as they come, with its index. What goes wrong in one ends them all."""
    pool = Pool(decoder, chunk=options.chunk, progress=options.progress)
    indices = {id(answer): index for index, answer in enumerate(answers)}
    for answer in answers:
        pool.add(answer)
    while pool:
        for answer, step in pool.step():
            if isinstance(step, Exception):
                raise step
            yield indices[id(answer)], step
