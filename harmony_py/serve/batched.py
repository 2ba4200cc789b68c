"""The bundled decode loop as a runner: all answers under way take each step together."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from harmony_py.model import Sampling
from harmony_py.model.memory import available
from harmony_py.serve.runners import require_slots
from harmony_py.tokenizer import prefix

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from harmony_py.model import Cache, Model
    from harmony_py.model.generate import Answer
    from harmony_py.serve.runners import Asked, Outcome


WORTH_COPYING: Final = 32
"""So many tokens of a prompt are sooner copied than run."""


class Batched:
    """A model with up to `slots` answers at once, which join and leave between its steps.

    What their caches may come to is never more than `memory` bytes, by default half of what the weights
    leave of the machine's: an answer begins when there is room for the longest that it may become. The caches
    of conversations that are over are kept where there is room, so that the next turn runs only what is new.
    """

    masks: Final = True
    logprobs: Final = True

    def __init__(self, model: Model, *, slots: int = 16, memory: int | None = None) -> None:
        self.slots: Final = require_slots(slots)
        self.context: Final = model.max_context
        self._model: Final = model
        self._pool: Final = model.pool()
        self._answers: Final[dict[Hashable, Answer]] = {}
        self._keys: Final[dict[Answer, Hashable]] = {}
        self._shelf: Final = Shelf(slots)
        self._memory: Final = _half_of_the_rest(model) if memory is None else memory
        self._reserved: Final[dict[Hashable, int]] = {}

    def takes(self, asked: Asked) -> bool:
        if not self._answers or self._memory is None:
            return True
        return sum(self._reserved.values()) + self._most(asked) <= self._memory

    def start(self, key: Hashable, asked: Asked) -> None:
        sampling = Sampling(**asked.sampling)
        cache = self._shelf.take(asked.ids) or self._model.new_cache()
        try:
            answer = self._model.answer(asked.ids, sampling, mask=asked.mask, cache=cache)
        except Exception:
            self._shelf.put(cache)
            raise
        self._pool.add(answer)
        self._answers[key], self._keys[answer], self._reserved[key] = answer, key, self._most(asked)
        self._clear_shelf()

    def step(self) -> Iterator[tuple[Hashable, Outcome]]:
        # All at once: who reads along may take a while, and stop answers meanwhile.
        for answer, outcome in list(self._pool.step()):
            key = self._keys[answer]
            yield key, outcome
            if isinstance(outcome, Exception) or outcome.finish is not None:
                self._over(key)

    def stop(self, key: Hashable) -> None:
        if key in self._answers:
            self._pool.remove(self._answers[key])
            self._over(key)

    def reused(self, key: Hashable) -> int:
        return self._answers[key].statistics.reused_tokens

    def _over(self, key: Hashable) -> None:
        answer = self._answers.pop(key)
        del self._keys[answer], self._reserved[key]
        self._shelf.put(answer.cache)
        self._clear_shelf()

    def _most(self, asked: Asked) -> int:
        """Bytes that a cache may come to: it has room for twice what it holds at most."""
        most = self.context if asked.sampling.get("max_tokens") is None else asked.sampling["max_tokens"]
        tokens = min(len(asked.ids) + most, self.context)
        return 2 * self._model.config.cache_bytes(tokens, self._model.dtype.itemsize)

    def _clear_shelf(self) -> None:
        if self._memory is not None:
            self._shelf.clear_to(self._memory - sum(self._reserved.values()))


class Shelf:
    """The caches of conversations that are over, `limit` at most: the one put there first goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._caches: OrderedDict[int, Cache] = OrderedDict()

    def __len__(self) -> int:
        return len(self._caches)

    def put(self, cache: Cache) -> None:
        if cache.length:
            self._caches[id(cache)] = cache
        while len(self._caches) > self._limit:
            self._caches.popitem(last=False)

    def clear_to(self, memory: int) -> None:
        """Forget the oldest until the others take no more than `memory` bytes."""
        while self._caches and sum(cache.nbytes for cache in self._caches.values()) > memory:
            self._caches.popitem(last=False)

    def take(self, ids: list[int]) -> Cache | None:
        """The cache that has most of `ids`, if that is nearly all of the cache. Otherwise a copy of what both
        have in common, such as the same instructions: its conversation may yet go on with the rest."""
        found = [(prefix.shared(cache.tokens, ids), -cache.length, cache) for cache in self._caches.values()]
        shared, length, best = max(found, key=lambda each: each[:2], default=(0, 0, None))
        if best is None or 4 * shared >= 3 * -length > 0:
            return best and self._caches.pop(id(best))
        return best.fork(shared) if shared >= WORTH_COPYING else None


def _half_of_the_rest(model: Model) -> int | None:
    """Of the machine's memory, half of what the weights leave; None where nobody knows how much there is."""
    there = available(model.device)
    return None if there is None else max(0, there - model.config.weight_bytes) // 2
