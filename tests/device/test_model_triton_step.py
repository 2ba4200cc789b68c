"""A step of a few tokens by the Triton kernels, beside the slow twin on torch's."""

from __future__ import annotations

import weakref

import pytest
import torch

from harmony_py.errors import PromptError
from harmony_py.model import ops
from harmony_py.model.cache import FIRST_SLOTS, Cache
from harmony_py.model.cuda import MOST, Step, StepDecoder
from harmony_py.model.forward import Decoder, Row, decoder
from harmony_py.model.kernels import check, triton
from harmony_py.model.kernels.triton.packed import INTERPRETED
from harmony_py.model.mxfp4 import unpack
from harmony_py.model.weights import Mxfp4, Weights

KERNELS = ops.Kernels("triton", triton.linear, triton.mxfp4_linear, triton.moe)


@pytest.fixture(scope="module")
def weights(device: str) -> Weights:
    return check.small_weights(device)


@pytest.fixture(scope="module")
def fast(weights: Weights) -> Decoder:
    return decoder(check.SMALL, weights, KERNELS, torch.float32)


@pytest.fixture(scope="module")
def slow(weights: Weights) -> Decoder:
    return Decoder(check.SMALL, weights, ops.TORCH, torch.float32)


def a_cache(decoder: Decoder, **options: int) -> Cache:
    return Cache(check.SMALL, dtype=decoder.dtype, device=decoder.device, **options)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_self_check_finds_nothing(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dtypes = (torch.float32,) if INTERPRETED else tuple(check.ALLOWED)
    if INTERPRETED:
        monkeypatch.setattr(check, "TOKENS", (20,))
        monkeypatch.setattr(check, "STEPS", check.STEPS[:2])
    found = list(check.differences(device, dtypes))
    assert [each for each in found if not each.found <= each.allowed] == []
    assert {each.what.split()[0] for each in found} == {"linear", "mxfp4_linear", "moe", "step"}


def test_a_step_follows_its_caches_as_they_grow(fast: Decoder, slow: Decoder) -> None:
    """Full layers get new slots, sliding ones move; a cut cache goes on elsewhere."""
    caches = a_cache(fast), a_cache(slow)
    ids = torch.arange(FIRST_SLOTS - 1).remainder(check.SMALL.vocab).tolist()
    slow.prefill(caches[0], ids)
    slow.prefill(caches[1], ids)
    assert caches[0].snapshot()
    assert caches[1].snapshot()
    for token in (5, 6):
        [found], [expected] = (
            made.run([Row(cache, [token])]) for made, cache in zip((fast, slow), caches, strict=True)
        )
        close(found, expected)
    assert [cache.truncate(FIRST_SLOTS - 1) for cache in caches] == [FIRST_SLOTS - 1] * 2
    [found], [expected] = (
        made.run([Row(cache, [7])]) for made, cache in zip((fast, slow), caches, strict=True)
    )
    close(found, expected)
    assert caches[0].tokens == caches[1].tokens


def test_rows_of_several_lengths_step_together(fast: Decoder, slow: Decoder) -> None:
    both = [[a_cache(made) for _ in range(2)] for made in (fast, slow)]
    for made, caches in zip((fast, slow), both, strict=True):
        made.prefill(caches[1], list(range(MOST + 12)))
    found, expected = (
        made.run([Row(caches[0], [1]), Row(caches[1], [2, 3], wanted=2)])
        for made, caches in zip((fast, slow), both, strict=True)
    )
    assert [len(logits) for logits in found] == [1, 2]
    for mine, theirs in zip(found, expected, strict=True):
        close(mine, theirs)


def test_nothing_is_written_behind_the_end_of_a_context(fast: Decoder) -> None:
    cache = a_cache(fast, max_context=3)
    with pytest.raises(PromptError, match="4 tokens behind 0 exceed a context of 3"):
        fast.run([Row(cache, [1, 2, 3, 4])])
    assert cache.length == 0
    [logits] = fast.run([Row(cache, [1], wanted=0)])
    assert (logits.shape, cache.tokens) == ((0, check.SMALL.vocab), [1])


def test_experts_that_are_not_packed_have_no_step(weights: Weights, slow: Decoder) -> None:
    def dense(matrix: Mxfp4 | torch.Tensor) -> torch.Tensor:
        assert isinstance(matrix, Mxfp4)
        return unpack(matrix, torch.bfloat16)

    layers = tuple(
        layer._replace(
            experts=layer.experts._replace(
                gate_up=dense(layer.experts.gate_up), down=dense(layer.experts.down)
            )
        )
        for layer in weights.layers
    )
    made = decoder(check.SMALL, weights._replace(layers=layers), KERNELS, torch.float32)
    assert not isinstance(made, StepDecoder)
    [found], [expected] = (each.run([Row(a_cache(each), [1, 2])]) for each in (made, slow))
    close(found, expected)


def test_a_step_reads_only_what_it_has_written(weights: Weights, device: str) -> None:
    """Whatever its buffers held changes nothing, and what it gave stays."""
    step = Step(check.SMALL, weights, torch.float32)
    cache = Cache(check.SMALL, dtype=torch.float32, device=device)
    expected = step.run([Row(cache, [1])])
    kept = expected.clone()
    for buffer in (step.x, step.normal, step.planes, step.projected, step.mixed, step.middle, step.said):
        buffer.fill_(torch.nan)
    step.chosen.fill_(1 << 40)
    step.logits.fill_(torch.nan)
    assert torch.equal(step.run([Row(cache, [1])]), kept)
    assert torch.equal(expected, kept)


def test_a_step_keeps_no_cache_alive(weights: Weights, device: str) -> None:
    step = Step(check.SMALL, weights, torch.float32)
    cache = Cache(check.SMALL, dtype=torch.float32, device=device)
    step.prepare([Row(cache, [1, 2])])
    numbers = [weakref.ref(band.numbers) for band in cache.reserve(1)]
    assert all(ref() is not None for ref in numbers)
    del cache
    assert all(ref() is None for ref in numbers)


def test_the_table_says_where_caches_lie(weights: Weights, device: str) -> None:
    """It is written anew when one of them moves, is cut, or is another; and not when none does."""
    step = Step(check.SMALL, weights, torch.float32)
    caches = [Cache(check.SMALL, dtype=torch.float32, device=device) for _ in range(2)]

    def said(*rows: Row) -> list[list[int]]:
        count = step.prepare(rows)
        table = step.inputs[2 * MOST :].view(check.SMALL.layers, MOST, 3)[:, :count]
        expected = [
            [[band.numbers.data_ptr(), band.numbers.shape[2], band.first] for band in layer]
            for layer in zip(*(row.cache.reserve(1) for row in rows for _ in row.ids), strict=True)
        ]
        assert table.tolist() == expected
        return table.flatten(1).tolist()

    first = said(Row(caches[0], [1]), Row(caches[1], [2, 3]))
    for cache in caches:
        cache.commit([1])
    assert said(Row(caches[0], [1]), Row(caches[1], [2, 3])) == first
    assert said(Row(caches[1], [1]), Row(caches[0], [2, 3])) != first
    alone = said(Row(caches[0], [1]))
    caches[0].reserve(100)
    assert said(Row(caches[0], [1])) != alone
    step.inputs[2 * MOST] = 7
    with pytest.raises(AssertionError):
        said(Row(caches[0], [1]))
