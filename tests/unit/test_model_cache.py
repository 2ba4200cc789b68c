"""What the cache keeps, gives back and takes."""

from __future__ import annotations

import pytest
import torch

from harmony_py.errors import PromptError
from harmony_py.model.cache import SLACK, SNAPSHOTS, Cache
from harmony_py.model.config import ModelConfig

WINDOW = 16
CONFIG = ModelConfig(
    layers=3, experts=4, hidden=64, intermediate=32, heads=4, kv_heads=2, vocab=100, sliding_window=WINDOW
)


def append(cache: Cache, *tokens: int) -> None:
    for layer in range(CONFIG.layers):
        numbers = torch.tensor(tokens, dtype=torch.float32)[None, :, None].expand(2, -1, CONFIG.head_dim)
        cache.write(layer, numbers + layer, -numbers)
    cache.commit(tokens)


def new() -> Cache:
    return Cache(CONFIG, dtype=torch.float32)


def test_a_token_sees_its_window_or_everything() -> None:
    cache = new()
    append(cache, *range(40))
    numbers = torch.full((2, 1, 64), 40.0)
    for layer, first in ((0, 40 - WINDOW + 1), (1, 0), (2, 40 - WINDOW + 1)):
        keys, values = cache.write(layer, numbers, numbers)
        assert keys[0, :-1, 0].tolist() == [float(token + layer) for token in range(first, 40)]
        assert values[1, :-1, 7].tolist() == [-float(token) for token in range(first, 40)]
        assert keys[0, -1, 0] == 40


def test_what_is_not_committed_does_not_count() -> None:
    cache = new()
    append(cache, *range(30))
    numbers = torch.ones(2, 500, 64)
    cache.write(0, numbers, numbers)
    cache.write(1, numbers, numbers)
    assert (cache.length, cache.tokens) == (30, list(range(30)))
    cache.snapshot()
    append(cache, 30)
    assert cache.truncate(29) == 29
    keys, _ = cache.write(0, numbers[:, :1], numbers[:, :1])
    assert keys[0, :-1, 0].tolist() == [float(token) for token in range(29 - WINDOW + 1, 29)]


def test_memory_is_bounded_where_a_layer_slides() -> None:
    cache = new()
    for token in range(1000):
        append(cache, token % 100)
    sliding, full, _ = (band.numbers.shape[2] for band in cache._held.bands)
    assert sliding <= 2 * WINDOW + SLACK
    assert 1000 <= full < 2000
    slot = 2 * CONFIG.kv_rows * 4
    assert cache.nbytes == (2 * sliding + full) * slot
    before = cache.nbytes
    cache.snapshot()
    assert cache.nbytes == before + 2 * (WINDOW - 1) * slot


def test_slots_of_a_full_layer_stop_at_the_context() -> None:
    cache = Cache(CONFIG, max_context=70, dtype=torch.float32)
    append(cache, *range(65))
    append(cache, *range(5))
    assert cache._held.bands[1].numbers.shape[2] == 70


@pytest.mark.parametrize("back", [1, SLACK])
def test_slack_can_be_taken_back_at_any_time(back: int) -> None:
    cache = new()
    for length in range(1, 400):
        append(cache, length % 100)
        if length >= back:
            again = cache.tokens[-back:]
            assert cache.truncate(length - back) == length - back
            append(cache, *again)


def test_further_back_is_the_nearest_snapshot_or_the_start() -> None:
    cache = new()
    append(cache, *range(50))
    assert cache.snapshot()
    append(cache, *[7] * 300)
    append(cache, 8)
    assert cache.snapshots == [50]
    assert not cache.snapshot(100)
    assert cache.truncate(349) == 349
    assert cache.truncate(60) == 50
    assert cache.tokens == list(range(50))
    append(cache, *[9] * 300)
    append(cache, 9)
    assert cache.truncate(49) == 0
    assert (cache.tokens, cache.snapshots) == ([], [])


def test_a_snapshot_can_be_taken_of_what_was_just_run() -> None:
    cache = new()
    append(cache, *range(90))
    assert [cache.snapshot(at) for at in (0, 1, 15, 16, 40, 90, 91)] == [
        False,
        True,
        True,
        True,
        True,
        True,
        False,
    ]
    assert cache.snapshots == [1, 15, 16, 40, 90]


def test_of_too_many_snapshots_those_that_save_least_go() -> None:
    cache = new()
    for at in range(SNAPSHOTS + 1):
        append(cache, *[at] * (3 if at == 9 else 30))
        cache.snapshot()
    assert len(cache.snapshots) == SNAPSHOTS
    assert 9 * 30 + 3 not in cache.snapshots


def test_reuse_keeps_the_common_beginning_but_never_the_last_token() -> None:
    cache = new()
    append(cache, 1, 2, 3, 4)
    assert cache.reuse([1, 2, 3, 4, 5]) == 4
    assert cache.reuse([1, 2, 3, 4]) == 3
    append(cache, 4)
    assert cache.reuse([1, 2, 9, 4]) == 2
    assert cache.reuse([5]) == 0
    assert cache.tokens == []


@pytest.mark.parametrize("length", [-1, 5])
def test_only_what_is_there_can_be_cut(length: int) -> None:
    cache = new()
    append(cache, 1, 2, 3, 4)
    with pytest.raises(PromptError, match=f"a cache of 4 tokens cannot be cut to {length}"):
        cache.truncate(length)
    assert cache.length == 4
