"""The Triton kernels, each beside plain torch in float32."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from harmony_py.errors import HarmonyError
from harmony_py.model import ops, reference
from harmony_py.model.config import ModelConfig
from harmony_py.model.forward import attention
from harmony_py.model.kernels import triton as kernels
from harmony_py.model.kernels.triton import attend, dense, experts, grouped, route
from harmony_py.model.kernels.triton.packed import INTERPRETED, planes
from harmony_py.model.mxfp4 import pack, unpack
from harmony_py.model.random_weights import random_field
from harmony_py.model.rope import turns
from harmony_py.model.weights import Mxfp4

ODD = ModelConfig(
    layers=2,
    experts=6,
    experts_per_token=3,
    hidden=96,
    intermediate=160,
    heads=6,
    kv_heads=2,
    vocab=300,
    sliding_window=5,
    swiglu_limit=0.5,
)
"""No size is a multiple of a block, and the activation's limit is often reached."""

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


def close(found: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> None:
    """Apart by no more than the type allows, of their size: single numbers may cancel."""
    assert found.shape == expected.shape
    apart = (found.double() - expected.double()).norm() / expected.double().norm()
    assert apart <= TOLERANCE[dtype], f"{apart:.1e}"


def some(*shape: int, seed: int = 0, device: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(device, dtype)


def expert_weights(device: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    up, down = (random_field(ODD, 1, f"experts.{name}", 0) for name in ("gate_up", "down"))
    biases = (random_field(ODD, 1, f"experts.{name}_bias", 0) for name in ("gate_up", "down"))
    assert isinstance(up, Mxfp4)
    assert isinstance(down, Mxfp4)
    parts = [tuple(t.to(device) for t in (*m, b)) for m, b in zip((up, down), biases, strict=True)]
    return parts[0], parts[1]


def moe_arguments(tokens: int, device: str, dtype: torch.dtype) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(tokens)
    chosen = torch.rand(tokens, ODD.experts, generator=generator).argsort(dim=1)[:, : ODD.experts_per_token]
    shares = torch.rand(chosen.shape, generator=generator)
    up, down = expert_weights(device)
    x = some(tokens, ODD.hidden, device=device, dtype=dtype)
    return x, chosen.to(device), shares.to(device), *up, *down, ODD.swiglu_limit


# Packed numbers.


def every_number(scales: int, device: str) -> Mxfp4:
    """In each row all codes twice, with a scale of its own."""
    codes = torch.arange(32, dtype=torch.uint8).remainder(16).expand(scales, 32)
    powers = torch.arange(scales, dtype=torch.uint8).view(scales, 1)
    return Mxfp4(pack(codes).to(device), powers.to(device))


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_every_code_and_scale_is_exact_with_few_tokens(device: str) -> None:
    matrix = every_number(256, device)
    ones = torch.eye(32, device=device)[:16]
    expected = unpack(matrix).T[:16]
    found = kernels.mxfp4_linear(ones, *matrix)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    assert found[:, 255].isnan().all()
    assert (found[:, 0] != 0).sum() == 14


def test_every_code_and_scale_is_exact_with_many_tokens(device: str) -> None:
    # Products are taken of whole tiles here, and what times an infinite number is no longer nothing.
    matrix = every_number(252, device)
    found = kernels.mxfp4_linear(torch.eye(32, device=device), *matrix)
    torch.testing.assert_close(found, unpack(matrix).T, rtol=0, atol=0)


# Products.


@pytest.mark.parametrize("tokens", [1, 3, 8, 9])
def test_a_linear(tokens: int, device: str, dtype: torch.dtype) -> None:
    x = some(tokens, 300, device=device, dtype=dtype)
    weight = some(150, 300, seed=1, device=device, dtype=torch.bfloat16)
    bias = some(150, seed=2, device=device, dtype=torch.bfloat16)
    for added in (None, bias):
        close(kernels.linear(x, weight, added), ops.linear(x.float(), weight, added), dtype)


def test_what_a_linear_is_added_to(device: str, dtype: torch.dtype) -> None:
    x, residual = (some(2, 130, seed=seed, device=device, dtype=dtype) for seed in (0, 1))
    weight = some(130, 130, seed=2, device=device, dtype=torch.bfloat16)
    expected = residual.float() + ops.linear(x.float(), weight)
    dense.linear(x, weight, None, residual, residual)
    close(residual, expected, dtype)


def test_three_matrices_at_once(device: str, dtype: torch.dtype) -> None:
    x = some(2, 100, device=device, dtype=dtype)
    parts = tuple(
        (
            some(rows, 100, seed=rows, device=device, dtype=torch.bfloat16),
            some(rows, seed=1, device=device, dtype=torch.bfloat16),
        )
        for rows in (140, 20, 20)
    )
    out = torch.empty(2, 180, device=device, dtype=dtype)
    dense.project(x, parts, out)
    expected = torch.cat([ops.linear(x.float(), *part) for part in parts], dim=1)
    close(out, expected, dtype)


# The interpreter's products of tiles in bfloat16 are wrong.
TILES = [torch.float32] if INTERPRETED else list(TOLERANCE)


@pytest.mark.parametrize(
    ("tokens", "dtype"), [(1, torch.float32), *product([2], TOLERANCE), *product([20, 50], TILES)], ids=str
)
def test_the_experts(tokens: int, device: str, dtype: torch.dtype) -> None:
    x, *rest = moe_arguments(tokens, device, dtype)
    close(kernels.moe(x, *rest), ops.moe(x.float(), *rest), dtype)
    up, _ = expert_weights(device)
    one = tuple(part[2] for part in up)
    close(kernels.mxfp4_linear(x, *one), ops.mxfp4_linear(x.float(), *one), dtype)
    bare = tuple(part[1] for part in up[:2])
    close(kernels.mxfp4_linear(x, *bare), ops.mxfp4_linear(x.float(), *bare), dtype)


@pytest.mark.parametrize("tokens", [1, 20])
def test_rows_of_the_genuine_width(tokens: int, device: str) -> None:
    """2880 is no multiple of a block."""
    config = ModelConfig.preset("gpt-oss-20b")
    generator = torch.Generator().manual_seed(0)
    groups = 10, config.hidden // 32
    blocks = torch.randint(256, (*groups, 16), generator=generator, dtype=torch.uint8).to(device)
    scales = torch.randint(118, 123, groups, generator=generator, dtype=torch.uint8).to(device)
    x = some(tokens, config.hidden, device=device)
    close(kernels.mxfp4_linear(x, blocks, scales), ops.mxfp4_linear(x, blocks, scales), torch.float32)
    weight = some(10, config.hidden, seed=1, device=device, dtype=torch.bfloat16)
    close(kernels.linear(x, weight), ops.linear(x, weight), torch.float32)


def test_it_is_the_same_in_other_blocks(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = moe_arguments(1, device, torch.float32)
    expected = ops.moe(*arguments)
    monkeypatch.setattr(experts, "GROUPS", 2)
    monkeypatch.setattr(experts, "ROWS", 64)
    close(kernels.moe(*arguments), expected, torch.float32)


@pytest.mark.parametrize("dtype", TILES, ids=str)
def test_a_token_comes_out_the_same_beside_others(device: str, dtype: torch.dtype) -> None:
    x, chosen, shares, *rest = moe_arguments(2, device, dtype)
    together = kernels.moe(x, chosen, shares, *rest)
    weight = some(150, ODD.hidden, seed=1, device=device, dtype=torch.bfloat16)
    projected = kernels.linear(x, weight)
    for token in (0, 1):
        one = slice(token, token + 1)
        assert torch.equal(kernels.moe(x[one], chosen[one], shares[one], *rest), together[one])
        assert torch.equal(kernels.linear(x[one], weight), projected[one])


@pytest.mark.parametrize(("tokens", "expert"), [(2, 1 << 40), (20, -1), (20, ODD.experts)])
def test_an_expert_that_there_is_not_spoils_its_token_alone(tokens: int, expert: int, device: str) -> None:
    x, chosen, shares, *rest = moe_arguments(tokens, device, torch.float32)
    expected = ops.moe(x, chosen, shares, *rest)
    chosen[1, 2] = expert
    found = kernels.moe(x, chosen, shares, *rest)
    assert found[1].isnan().all()
    others = [token for token in range(tokens) if token != 1]
    close(found[others], expected[others], torch.float32)


def test_not_a_number_stays_one(device: str) -> None:
    x, *rest = moe_arguments(2, device, torch.float32)
    x[0, 5] = torch.nan
    found = kernels.moe(x, *rest)
    assert found[0].isnan().all()
    assert found[1].isfinite().all()


@pytest.mark.parametrize(("tokens", "count"), [(1, 8), (5, 3), (40, 2), (70, 6)])
def test_tiles_take_every_pair_once(tokens: int, count: int, device: str) -> None:
    chosen = torch.randint(count, (tokens, 4), generator=torch.Generator().manual_seed(tokens)).to(device)
    tiles = grouped.tiles(chosen, count)
    order, flat, taken = tiles.order.tolist(), chosen.flatten().tolist(), []
    for expert, first, end in zip(*(part.tolist() for part in tiles[1:4]), strict=True):
        slots = range(first, min(first + tiles.size, end))
        assert all(flat[order[slot]] == expert for slot in slots)
        taken += [order[slot] for slot in slots]
    assert sorted(taken) == list(range(len(flat)))


def test_nothing_is_recorded_for_gradients(device: str) -> None:
    x = some(1, 64, device=device).requires_grad_()
    weight = some(5, 64, device=device)
    with pytest.raises(HarmonyError, match="give no gradients"):
        kernels.linear(x, weight)
    with torch.no_grad():
        close(kernels.linear(x, weight), ops.linear(x, weight), torch.float32)


def test_what_the_kernels_do_not_take_is_left_to_torch(device: str) -> None:
    x, *rest = moe_arguments(2, device, torch.float32)
    assert kernels.moe(x[:0], rest[0][:0], rest[1][:0], *rest[2:]).shape == (0, ODD.hidden)
    weight = some(5, 96, device=device, dtype=torch.float64)
    assert torch.equal(kernels.linear(x.double(), weight), ops.linear(x.double(), weight))
    turned = some(96, 5, device=device).T
    assert torch.equal(kernels.linear(x, turned), ops.linear(x, turned))


# Between the products.


def test_what_experts_said_is_added_before_it_is_normalised(device: str, dtype: torch.dtype) -> None:
    x, norm = some(2, 100, device=device, dtype=dtype), some(100, seed=1, device=device, dtype=torch.bfloat16)
    said = some(2, 3, 100, seed=2, device=device)
    out = torch.empty_like(x)
    route.normalise(x, None, norm, 1e-3, out)
    close(out, reference.normalise(x.float(), norm, 1e-3), dtype)
    expected = x + said.sum(1).to(dtype)
    route.normalise(x, said, norm, 1e-3, out)
    close(x, expected, dtype)
    close(out, reference.normalise(expected.float(), norm, 1e-3), dtype)


def test_experts_are_chosen_as_in_the_reference(device: str, dtype: torch.dtype) -> None:
    x, norm = some(3, 320, device=device, dtype=dtype), some(320, seed=1, device=device, dtype=torch.bfloat16)
    router = some(11, 320, seed=2, device=device, dtype=torch.bfloat16)
    router[7] = router[2]
    bias = some(11, seed=3, device=device, dtype=torch.bfloat16)
    bias[7] = bias[2] = 50.0
    out = torch.empty_like(x)
    chosen = torch.empty(3, 3, dtype=torch.int64, device=device)
    shares = torch.empty(3, 3, device=device)
    route.route(x, norm, 1e-3, router, bias, out, chosen, shares)
    normal = reference.normalise(x, norm, 1e-3)
    close(out, planes(normal).view(3, -1), dtype)
    expected, expected_shares = reference.route(ops.linear(normal, router, bias), 3)
    assert torch.equal(chosen, expected)
    assert (chosen[:, :2] == torch.tensor([2, 7], device=device)).all()
    torch.testing.assert_close(shares, expected_shares, rtol=0, atol=2 * TOLERANCE[dtype])


# Attention.


def run_attention(
    lengths: list[int], window: int | None, sinks: torch.Tensor, device: str, dtype: torch.dtype
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What a token at each of these places reads from a cache of its own, by the kernels and by torch."""
    config, heads, kv_heads, width = ODD, ODD.heads, ODD.kv_heads, ODD.head_dim
    count, first, expected, bands = len(lengths), 2 if window else 0, [], []
    numbers = some(count, (heads + 2 * kv_heads) * width, device=device, dtype=dtype)
    parts = numbers.float().view(count, -1, width).split([heads, kv_heads, kv_heads], dim=1)
    places = torch.tensor(lengths, device=device)
    turn = turns(config, places)
    query, key, value = turn(parts[0]), turn(parts[1]), parts[2]
    for token, length in enumerate(lengths):
        # Before the window lies what would be seen at once if it were.
        band = some(2, kv_heads, length + 3, width, seed=9 + token, device=device, dtype=dtype)
        bands.append(band)
        keys, values = band.clone().float()
        keys[:, length - first], values[:, length - first] = key[token], value[token]
        low = 0 if window is None else max(0, length - first - window + 1)
        seen = slice(low, length - first + 1)
        expected.append(attention(query[token, None], keys[:, seen], values[:, seen], sinks, window)[0])
    table = torch.tensor([[band.data_ptr(), band.shape[2], first] for band in bands], device=device)
    where = attend.Where(places, table.flatten())
    turned = torch.empty(count, heads, width, device=device, dtype=dtype)
    tables = turns(config, torch.arange(max(lengths) + 1, device=device))
    attend.turn_and_write(numbers, tables, where, turned, kv_heads)
    shape = count, heads, attend.SPLITS[window is None]
    found = attend.Parts(
        torch.empty(*shape, width, device=device),
        torch.empty(shape, device=device),
        torch.empty(shape, device=device),
    )
    out = torch.empty(count, heads * width, device=device, dtype=dtype)
    attend.attend(turned, where, sinks, window, kv_heads, found, out)
    return list(zip(out, expected, strict=True))


@pytest.mark.parametrize("dtype", TILES, ids=str)
@pytest.mark.parametrize("window", [None, 5, 70])
def test_attention_over_caches_of_any_length(window: int | None, device: str, dtype: torch.dtype) -> None:
    sinks = some(ODD.heads, device=device, dtype=torch.bfloat16)
    for found, expected in run_attention([2, 5, 63, 64, 200], window, sinks, device, dtype):
        close(found, expected, dtype)


def test_a_sink_takes_its_share(device: str) -> None:
    sinks = torch.full((ODD.heads,), -torch.inf, device=device)
    sinks[1], sinks[2] = 0.0, 1e4
    for found, expected in run_attention([4], None, sinks, device, torch.float32):
        close(found, expected, torch.float32)
        assert (found.view(ODD.heads, -1)[2] == 0).all()
        assert found.view(ODD.heads, -1)[0].abs().sum() > 0


def test_more_programs_than_keys(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attend, "SPLITS", (4, 8))
    sinks = some(ODD.heads, device=device)
    for window in (None, 5):
        for found, expected in run_attention([2, 130], window, sinks, device, torch.float32):
            close(found, expected, torch.float32)
