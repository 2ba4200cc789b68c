"""Whatever is done to a cache, its layers give what a plain list of the tokens says."""

from __future__ import annotations

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from torch import Tensor

from harmony_py.model.cache import Cache
from harmony_py.model.config import ModelConfig

WINDOW = 16
CONFIG = ModelConfig(
    layers=2, experts=4, hidden=64, intermediate=32, heads=2, kv_heads=1, vocab=100, sliding_window=WINDOW
)


def numbers(tokens: list[int], first: int, layer: int) -> Tensor:
    """The keys that these tokens have at these positions: different ones for each token, place and layer."""
    columns = [[token, first + i, layer, *[0] * 61] for i, token in enumerate(tokens)]
    return torch.tensor(columns, dtype=torch.float32).reshape(1, len(tokens), 64)


class CacheMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache(CONFIG, dtype=torch.float32)
        self.tokens: list[int] = []

    @rule(share=st.floats(0, 1))
    def fork(self, share: float) -> None:
        """Go on with a copy of some of it. What becomes of the other is no concern of the copy's."""
        length, other = int(share * len(self.tokens)), self.cache
        self.cache = other.fork(length)
        assert self.cache.length <= length
        assert other.tokens == self.tokens
        self.tokens = self.tokens[: self.cache.length]
        for layer in range(CONFIG.layers):
            nonsense = torch.full((1, 2 * WINDOW, 64), -7.0)
            other.write(layer, nonsense, nonsense)
        other.commit([7] * 2 * WINDOW)

    @rule(
        tokens=st.lists(st.integers(0, 99), min_size=1, max_size=120), committed=st.sampled_from([1, 1, 1, 0])
    )
    def append(self, tokens: list[int], committed: int) -> None:
        """A step, or one that was stopped after some of its layers."""
        for layer in range(CONFIG.layers if committed else 1):
            keys = numbers(tokens, len(self.tokens), layer)
            seen_keys, seen_values = self.cache.write(layer, keys, -keys)
            past = len(self.tokens) if layer else min(len(self.tokens), WINDOW - 1)
            old = self.tokens[len(self.tokens) - past :]
            expected = numbers(old + tokens, len(self.tokens) - past, layer)
            assert torch.equal(seen_keys, expected)
            assert torch.equal(seen_values, -expected)
        if committed:
            self.cache.commit(tokens)
            self.tokens += tokens

    @precondition(lambda self: self.tokens)
    @rule(share=st.floats(0, 1))
    def truncate(self, share: float) -> None:
        length = int(share * len(self.tokens))
        reached = self.cache.truncate(length)
        assert reached <= length
        # Something nearer would have been a snapshot.
        assert reached == length or not [at for at in self.cache.snapshots if reached < at <= length]
        del self.tokens[reached:]

    @rule(share=st.floats(0, 1))
    def snapshot(self, share: float) -> None:
        length = int(share * len(self.tokens))
        if self.cache.snapshot(length):
            assert length in self.cache.snapshots

    @rule(count=st.integers(0, 30), tokens=st.lists(st.integers(0, 99), min_size=1, max_size=10))
    def reuse(self, count: int, tokens: list[int]) -> None:
        wanted = self.tokens[: max(0, len(self.tokens) - count)] + tokens
        reached = self.cache.reuse(wanted)
        assert self.tokens[:reached] == wanted[:reached]
        assert reached < len(wanted)
        del self.tokens[reached:]

    @invariant()
    def holds_the_tokens(self) -> None:
        assert self.cache.tokens == self.tokens
        assert all(at <= len(self.tokens) for at in self.cache.snapshots)


TestCache = CacheMachine.TestCase
TestCache.settings = settings(settings.default, stateful_step_count=30)
