# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"
"""The experts of many tokens: sorted by expert, some tokens of one expert at a time on the tensor cores.

Weights are unpacked in registers, to numbers of the tokens' type, which is exact. Nothing waits for the
device: how many tiles there are is bounded by what is known without it, and tiles too many end at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch
import triton
import triton.language as tl

from harmony_py.model.kernels.triton.experts import swiglu
from harmony_py.model.kernels.triton.packed import inlined, numbers, words

if TYPE_CHECKING:
    from torch import Tensor

ROWS: Final = {torch.bfloat16: 64, torch.float32: 16}
"""Of a tile. Tensor cores take no float32, and registers do not hold as much of it."""

GROUPS: Final = 2

SIZES: Final = (16, 32, 64)
"""Tokens of a tile: as few as fill one on average."""


class Tiles(NamedTuple):
    """Pairs of token and expert in the order of experts, and what each tile takes of them."""

    order: Tensor
    """[pairs]: which pair is where."""
    expert: Tensor
    """[tiles]"""
    first: Tensor
    """[tiles]: where in the order the tile begins."""
    end: Tensor
    """[tiles]: where its expert's pairs end; not behind `first` for tiles too many."""
    size: int


def tiles(chosen: Tensor, count: int) -> Tiles:
    """The tiles of the pairs in `chosen` [tokens, top], of `count` experts. Who has none is in none."""
    pairs = chosen.numel()
    size = next((size for size in SIZES if pairs <= size * count), SIZES[-1])
    ordered, order = chosen.flatten().sort(stable=True)
    edges = torch.searchsorted(ordered, torch.arange(count + 1, device=chosen.device))
    needed = (edges.diff() + size - 1) // size
    ends = needed.cumsum(0)
    tile = torch.arange(pairs // size + min(count, pairs), device=chosen.device)
    expert = torch.searchsorted(ends, tile, right=True)
    known = expert.clamp(max=count - 1)
    first = edges[known] + (tile - ends[known] + needed[known]) * size
    end = torch.where(expert < count, edges[known + 1], 0)
    return Tiles(order, known, first, end, size)


def inner(
    x: Tensor,
    top: int,
    tiles: Tiles,
    blocks: Tensor,
    scales: Tensor,
    bias: Tensor,
    limit: float,
    out: Tensor,
) -> None:
    """As `experts.inner`, with `out` in the order of `tiles`."""
    _, rows, groups = scales.shape
    _inner[(triton.cdiv(rows, ROWS[x.dtype]), len(tiles.first))](
        x,
        *tiles[:4],
        words(blocks),
        scales,
        bias,
        out,
        limit,
        rows,
        groups,
        top=top,
        size=tiles.size,
        block=ROWS[x.dtype],
        step=GROUPS,
        enable_fp_fusion=True,
    )


def outer(
    x: Tensor,
    tiles: Tiles,
    shares: Tensor | None,
    blocks: Tensor,
    scales: Tensor,
    bias: Tensor | None,
    out: Tensor,
) -> None:
    """As `experts.outer`, with `x` in the order of `tiles` and `out` [pairs, rows] in the tokens' own."""
    rows, groups = scales.shape[-2:]
    _outer[(triton.cdiv(rows, ROWS[x.dtype]), len(tiles.first))](
        x,
        *tiles[:4],
        shares,
        words(blocks),
        scales,
        bias,
        out,
        rows,
        groups,
        size=tiles.size,
        block=ROWS[x.dtype],
        step=GROUPS,
        enable_fp_fusion=True,
    )


@triton.jit
def _inner(
    x,
    order,
    tile_expert,
    tile_first,
    tile_end,
    matrix,
    scales,
    bias,
    out,
    limit,
    rows,
    groups: tl.constexpr,
    top: tl.constexpr,
    size: tl.constexpr,
    block: tl.constexpr,
    step: tl.constexpr,
):
    tile = tl.program_id(1)
    first, end = tl.load(tile_first + tile), tl.load(tile_end + tile)
    if first >= end:
        return
    expert = tl.load(tile_expert + tile)
    slot = first + tl.arange(0, size)
    there = slot < end
    token = tl.load(order + slot, mask=there, other=0) // top
    row = tl.program_id(0) * block + tl.arange(0, block)
    found = _expert(x, token, there, matrix, scales, bias, expert, row, rows, groups, step)
    gate, up = tl.split(found.reshape(size, block // 2, 2))
    column = tl.program_id(0) * (block // 2) + tl.arange(0, block // 2)
    at = out + slot[:, None] * (rows // 2) + column[None, :]
    tl.store(at, swiglu(gate, up, limit), mask=there[:, None] & (column < rows // 2)[None, :])


@triton.jit
def _outer(
    x,
    order,
    tile_expert,
    tile_first,
    tile_end,
    shares,
    matrix,
    scales,
    bias,
    out,
    rows,
    groups: tl.constexpr,
    size: tl.constexpr,
    block: tl.constexpr,
    step: tl.constexpr,
):
    tile = tl.program_id(1)
    first, end = tl.load(tile_first + tile), tl.load(tile_end + tile)
    if first >= end:
        return
    expert = tl.load(tile_expert + tile)
    slot = first + tl.arange(0, size)
    there = slot < end
    pair = tl.load(order + slot, mask=there, other=0)
    row = tl.program_id(0) * block + tl.arange(0, block)
    found = _expert(x, slot, there, matrix, scales, bias, expert, row, rows, groups, step)
    if shares is not None:
        found *= tl.load(shares + pair, mask=there, other=0)[:, None]
    tl.store(out + pair[:, None] * rows + row[None, :], found, mask=there[:, None] & (row < rows)[None, :])


@inlined
def _expert(
    x, token, there, matrix, scales, bias, expert, row, rows, groups: tl.constexpr, step: tl.constexpr
):
    """Some rows of an expert times some rows of `x`, plus biases: float32 [tokens, rows]."""
    before = expert * rows
    sums = tl.zeros((token.shape[0], row.shape[0]), tl.float32)
    for start in tl.range(0, groups, step):
        column = start * 32 + tl.arange(0, step * 32)
        inside = there[:, None] & (column < groups * 32)[None, :]
        number = tl.load(x + token[:, None] * (groups * 32) + column[None, :], mask=inside, other=0)
        weight = numbers(
            matrix + before * groups * 4,
            scales + before * groups,
            row,
            rows,
            start,
            groups,
            step,
            x.dtype.element_ty,
        )
        sums = tl.dot(number, weight.trans(), sums, input_precision="ieee")
    if bias is not None:
        sums += tl.load(bias + before + row, mask=row < rows, other=0).to(tl.float32)[None, :]
    return sums
