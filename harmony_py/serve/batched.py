"""The bundled decode loop as a runner: all answers under way take each step together."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from harmony_py.model import Sampling
from harmony_py.serve.runners import require_slots

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from harmony_py.model import Cache, Model
    from harmony_py.model.generate import Answer
    from harmony_py.serve.runners import Asked, Outcome


class Batched:
    """A model with `slots` answers at once, which join and leave between its steps.

    The caches of as many conversations that are over are kept, so that the next turn runs only what is new.
    """

    masks: Final = True
    logprobs: Final = True

    def __init__(self, model: Model, *, slots: int = 16) -> None:
        self.slots: Final = require_slots(slots)
        self.context: Final = model.max_context
        self._model: Final = model
        self._pool: Final = model.pool()
        self._answers: Final[dict[Hashable, Answer]] = {}
        self._keys: Final[dict[Answer, Hashable]] = {}
        self._shelf: Final = Shelf(slots)

    def start(self, key: Hashable, asked: Asked) -> None:
        sampling = Sampling(**asked.sampling)
        cache = self._shelf.take(asked.ids) or self._model.new_cache()
        try:
            answer = self._model.answer(asked.ids, sampling, mask=asked.mask, cache=cache)
        except Exception:
            self._shelf.put(cache)
            raise
        self._pool.add(answer)
        self._answers[key], self._keys[answer] = answer, key

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
        del self._keys[answer]
        self._shelf.put(answer.cache)


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

    def take(self, ids: Sequence[int]) -> Cache | None:
        """The cache that has most of `ids`, if that is most of the cache too: another conversation may yet go
        on with the rest."""
        best, most = None, 0
        for cache in self._caches.values():
            shared = common(cache.tokens, ids)
            if shared > most and 2 * shared >= cache.length:
                best, most = cache, shared
        return None if best is None else self._caches.pop(id(best))


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
