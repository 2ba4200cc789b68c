"""The cached forward pass says what the reference says, whatever the lengths, chunks and companions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from harmony_py.errors import PromptError
from harmony_py.model import forward, reference
from harmony_py.model.cache import Cache
from harmony_py.model.forward import Decoder, Row, _attention, _attention_of_one, attention
from harmony_py.model.ops import TORCH, kernels
from harmony_py.model.random_weights import random_weights
from tests.tiny_models import TINY, some_ids

WINDOW = TINY.sliding_window
WEIGHTS = random_weights(TINY, seed=1)
DECODER = Decoder(TINY, WEIGHTS, TORCH, torch.float32)
IDS = some_ids(100).tolist()
EXPECTED = reference.forward(WEIGHTS, TINY, torch.tensor(IDS))
TOLERANCE = 1e-4


def new() -> Cache:
    return Cache(TINY, dtype=torch.float32)


def close(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 18, 31, 33, 100])
@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_cached_equals_uncached(length: int, chunk: int) -> None:
    cache, done = new(), []
    logits = DECODER.prefill(
        cache, IDS[:length], chunk=chunk, ran=lambda start, end: done.append((start, end))
    )
    assert logits.shape == (1, TINY.vocab)
    assert logits.dtype is torch.float32
    assert close(logits[0], EXPECTED[length - 1])
    assert cache.tokens == IDS[:length]
    assert done == [(start, min(start + chunk, length)) for start in range(0, length, chunk)]
    for place in range(length, min(length + 3, 100)):
        [logits] = DECODER.run([Row(cache, [IDS[place]])])
        assert close(logits[0], EXPECTED[place])


def test_logits_of_any_last_positions() -> None:
    [logits] = DECODER.run([Row(new(), IDS[:40], wanted=40)])
    assert close(logits, EXPECTED[:40])
    [logits] = DECODER.run([Row(new(), IDS[:40], wanted=3)])
    assert close(logits, EXPECTED[37:40])
    [logits] = DECODER.run([Row(new(), IDS[:40], wanted=0)])
    assert logits.shape == (0, TINY.vocab)


def test_rows_of_any_lengths_step_together() -> None:
    caches = [new() for _ in range(3)]
    starts = [5, 0, 33]
    for cache, start in zip(caches, starts, strict=True):
        DECODER.prefill(cache, IDS[:start]) if start else None
    parts = [IDS[5:6], IDS[:20], IDS[33:40]]
    found = DECODER.run(
        [Row(cache, part, wanted) for cache, part, wanted in zip(caches, parts, (1, 0, 4), strict=True)]
    )
    assert close(found[0], EXPECTED[5:6])
    assert found[1].shape == (0, TINY.vocab)
    assert close(found[2], EXPECTED[36:40])
    assert [cache.length for cache in caches] == [6, 20, 40]


def test_scores_may_be_cut_as_small_as_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SCORES", 1), ("QUERIES", 5)):
        with monkeypatch.context() as patch:
            patch.setattr(forward, name, value)
            [logits] = DECODER.run([Row(new(), IDS, wanted=100)])
        assert close(logits, EXPECTED)


def test_a_sliding_layer_sees_its_window_and_no_further() -> None:
    generator = torch.Generator().manual_seed(3)
    query = torch.randn(1, 4, 64, generator=generator)
    keys, values = torch.randn(2, 2, 40, 64, generator=generator)
    sinks = torch.randn(4, generator=generator)
    for window, reach in ((WINDOW, WINDOW), (None, 40)):
        before = attention(query, keys, values, sinks, window)
        for back in (1, reach - 1, reach, 39):
            if back >= 40:
                continue
            changed = values.clone()
            changed[:, 39 - back] += 1
            same = torch.equal(attention(query, keys, changed, sinks, window), before)
            assert same == (back >= reach)


def test_a_sink_takes_its_share() -> None:
    generator = torch.Generator().manual_seed(4)
    query, keys, values = torch.randn(5, 4, 64, generator=generator), *torch.randn(2, 4, 9, 64)
    plain = torch.nn.functional.scaled_dot_product_attention(
        query.transpose(0, 1), keys, values, attn_mask=torch.ones(5, 9, dtype=torch.bool).tril(4)
    )
    without = attention(query, keys, values, torch.full((4,), -math.inf), None)
    assert torch.allclose(without, plain.transpose(0, 1).flatten(1), atol=1e-6)
    assert attention(query, keys, values, torch.full((4,), 1e4), None).abs().max() == 0
    half = query[:, :1] * 0
    mixed = attention(half, keys[:1], values[:1], torch.tensor([math.log(5.0)]), None)
    # Equal scores of five to nine keys against a sink as heavy as five.
    expected = torch.stack([values[0, : n + 5].sum(0) / (n + 10) for n in range(5)])
    assert torch.allclose(mixed, expected, atol=1e-6)


def test_bfloat16_stays_near() -> None:
    decoder = DECODER._replace(dtype=torch.bfloat16)
    cache = Cache(TINY)
    [found] = decoder.run([Row(cache, IDS[:40], wanted=40)])
    expected = reference.forward(WEIGHTS, TINY, torch.tensor(IDS[:40]), dtype=torch.bfloat16)
    # A near tie of two experts may fall the other way, and then a token's numbers are others.
    off = (found - expected).abs().amax(dim=1) / expected.abs().max()
    assert (off < 0.05).float().mean() > 0.8
    assert cache._held.bands[0].numbers.dtype is torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_companions_do_not_change_a_bit(dtype: torch.dtype) -> None:
    decoder = Decoder(TINY, WEIGHTS, kernels("rust"), dtype)
    caches = [Cache(TINY, dtype=dtype) for _ in range(4)]
    for cache in caches:
        decoder.prefill(cache, IDS[:60])
    alone = [decoder.run([Row(caches[0], [token])])[0] for token in IDS[60:65]]
    [guessed] = decoder.run([Row(caches[1], IDS[60:65], wanted=5)])
    assert torch.equal(guessed, torch.cat(alone))
    batch = decoder.run([Row(caches[2], IDS[60:61]), Row(caches[3], IDS[60:63], wanted=3)])
    assert torch.equal(batch[0], guessed[:1])
    assert torch.equal(batch[1], guessed[:3])


def test_positions_reach_to_the_end_of_the_context() -> None:
    cache = new()
    far = TINY.max_context - 4
    cache.commit([0] * far)
    for layer in range(TINY.layers):
        cache._held.bands[layer] = cache._held.bands[layer]._replace(first=far)
    cache._windows = [1] * TINY.layers
    with pytest.raises(PromptError, match=f"5 tokens behind {far} exceed a context of 131072"):
        DECODER.run([Row(cache, IDS[:5])])
    assert cache.length == far
    [logits] = DECODER.run([Row(cache, IDS[:4])])
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("call", [0, 3, 9, 17])
def test_whatever_stops_a_step_leaves_the_cache_as_it_was(call: int) -> None:
    calls = iter(range(1000))

    def linear(*arguments: Tensor) -> Tensor:
        if next(calls) == call:
            raise KeyboardInterrupt
        return TORCH.linear(*arguments)

    cache = new()
    DECODER.prefill(cache, IDS[:90], chunk=30)
    broken = DECODER._replace(kernels=TORCH._replace(linear=linear))
    with pytest.raises(KeyboardInterrupt):
        broken.run([Row(cache, IDS[90:95] + [5] * 200)])
    assert cache.tokens == IDS[:90]
    [logits] = DECODER.run([Row(cache, IDS[90:], wanted=10)])
    assert close(logits, EXPECTED[90:])


def test_a_cache_that_was_cut_goes_on_as_a_cold_one() -> None:
    cache = new()
    DECODER.prefill(cache, IDS[:50], chunk=7)
    cache.snapshot()
    DECODER.prefill(cache, [7] * 150)
    DECODER.run([Row(cache, [8])])
    start = cache.reuse(IDS)
    assert start == 50
    [logits] = DECODER.run([Row(cache, IDS[start:], wanted=50)])
    assert close(logits, EXPECTED[50:])


def test_bytes_a_token_are_what_its_weights_and_its_cache_take() -> None:
    attention_bytes = 2 * (128 + (256 + 128 + 128) * 129 + 128 * 257 + 4)
    router = 2 * (128 + 8 * 128 + 8)
    expert = (192 * 128 + 128 * 96) * 17 // 32 + 2 * (192 + 128)
    head = 2 * (512 * 128 + 128 + 128)
    cached = (2 * WINDOW + 2 * 40) * 2 * 128 * 4
    assert DECODER.bytes_per_token(40) == 4 * (attention_bytes + router + 4 * expert) + head + cached


@pytest.mark.parametrize(("heads", "kv_heads", "width"), [(4, 2, 64), (3, 1, 96), (8, 8, 16)])
@pytest.mark.parametrize("seen", [1, 2, 33, 500])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_attention_of_one_query_is_that_of_many(
    heads: int, kv_heads: int, width: int, seen: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seen)
    query, keys, values, sinks = (
        torch.randn(*shape, generator=generator).to(dtype)
        for shape in ((1, heads, width), (kv_heads, 2 * seen, width), (kv_heads, 2 * seen, width), (heads,))
    )
    asked = (3 * query, keys[:, :seen], values[:, :seen], 3 * sinks, None)
    found, expected = _attention_of_one(*asked), _attention(*asked)
    assert found.dtype is expected.dtype
    torch.testing.assert_close(found, expected, atol=2e-6 if dtype is torch.float32 else 2e-2, rtol=1e-2)
