# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"
"""Attention of a few tokens, each over its own conversation's cache.

A cache's keys and values lie wherever the conversation has them; a table in the device's memory says where.
So the same launches serve any caches, of any length, and can be recorded.

What a token sees is dealt out to a fixed number of programs; then their parts are put together. How it is
dealt out depends on the token's position only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import triton
import triton.language as tl

from harmony_py.model.kernels.triton.packed import inlined

if TYPE_CHECKING:
    from torch import Tensor

    from harmony_py.model.rope import Turns

SPLITS: Final = (4, 32)
"""Programs for a token and a key's head: where there is a window, and where everything is seen."""

KEYS: Final = 64
QUERIES: Final = 16
"""The least that a product on the tensor cores takes. Fewer heads than this share a key."""


class Where(NamedTuple):
    """For each token where it stands and where its cache lies."""

    positions: Tensor
    """int64 [m]"""
    table: Tensor
    """int64 [m, 3] of one layer: the address of `cache.Band.numbers`, its slots, its first position."""


class Parts(NamedTuple):
    """What each program found: its share of the softmax, unfinished."""

    mixed: Tensor
    """float32 [m, heads, splits, head_dim]"""
    highest: Tensor
    """float32 [m, heads, splits]: the highest score."""
    total: Tensor
    """float32 [m, heads, splits]"""


def turn_and_write(numbers: Tensor, turns: Turns, where: Where, query: Tensor, kv_heads: int) -> None:
    """Turns what `dense.project` made. Queries go to `query` [m, heads, head_dim], the rest to the caches."""
    tokens, heads, width = query.shape
    _turn_and_write[(tokens, heads + 2 * kv_heads)](
        numbers,
        *turns,
        *where,
        query,
        heads=heads,
        kv_heads=kv_heads,
        width=width,
        block=triton.next_power_of_2(width // 2),
        num_warps=1,
        enable_fp_fusion=True,
    )


def attend(
    query: Tensor, where: Where, sinks: Tensor, window: int | None, kv_heads: int, parts: Parts, out: Tensor
) -> None:
    """`out` [m, heads * head_dim] = what each query reads from its cache, its own key and value included."""
    tokens, heads, width = query.shape
    splits = SPLITS[window is None]
    _attend[(tokens, kv_heads, splits)](
        query,
        *where,
        *parts,
        width**-0.5,
        heads=heads,
        kv_heads=kv_heads,
        width=width,
        window=window or 0,
        splits=splits,
        queries=max(QUERIES, triton.next_power_of_2(heads // kv_heads)),
        keys=KEYS,
        block=max(16, triton.next_power_of_2(width)),
        enable_fp_fusion=True,
    )
    _combine[(tokens, heads)](
        *parts,
        sinks,
        out,
        heads=heads,
        width=width,
        splits=splits,
        block=triton.next_power_of_2(width),
        num_warps=2,
        enable_fp_fusion=True,
    )


@inlined
def _band(positions, table, token, kind: tl.constexpr):
    """A token's position; its cache's keys and values, as one pointer; slots and first position."""
    row = table + token * 3
    band = tl.multiple_of(tl.load(row).to(tl.pointer_type(kind)), 16)
    return tl.load(positions + token), band, tl.load(row + 1), tl.load(row + 2)


@triton.jit
def _turn_and_write(
    numbers,
    cosines,
    sines,
    positions,
    table,
    query,
    heads: tl.constexpr,
    kv_heads: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
):
    token, head = tl.program_id(0), tl.program_id(1)
    half: tl.constexpr = width // 2
    position, band, slots, start = _band(positions, table, token, query.dtype.element_ty)
    column = tl.arange(0, block)
    inside = column < half
    source = numbers + (token * (heads + 2 * kv_heads) + head) * width + column
    first = tl.load(source, mask=inside, other=0).to(tl.float32)
    second = tl.load(source + half, mask=inside, other=0).to(tl.float32)
    if head < heads + kv_heads:
        cosine = tl.load(cosines + position * half + column, mask=inside, other=0).to(tl.float32)
        sine = tl.load(sines + position * half + column, mask=inside, other=0).to(tl.float32)
        first, second = first * cosine - second * sine, second * cosine + first * sine
    if head < heads:
        target = query + (token * heads + head) * width + column
    else:
        # Keys of all heads, then values of all heads.
        target = band + ((head - heads) * slots + position - start) * width + column
    tl.store(target, first.to(query.dtype.element_ty), mask=inside)
    tl.store(target + half, second.to(query.dtype.element_ty), mask=inside)


@triton.jit
def _attend(
    query,
    positions,
    table,
    mixed,
    highest,
    total,
    scale,
    heads: tl.constexpr,
    kv_heads: tl.constexpr,
    width: tl.constexpr,
    window: tl.constexpr,
    splits: tl.constexpr,
    queries: tl.constexpr,
    keys: tl.constexpr,
    block: tl.constexpr,
):
    token, kv_head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    shared: tl.constexpr = heads // kv_heads
    position, band, slots, start = _band(positions, table, token, query.dtype.element_ty)
    low = tl.maximum(start, position - window + 1) if window else start
    size = (position - low + splits * keys) // (splits * keys) * keys
    begin = low + split * size
    end = tl.minimum(begin + size, position + 1)

    column, member = tl.arange(0, block), tl.arange(0, queries)
    inside, real = column < width, member < shared
    head = token * heads + kv_head * shared + member
    asked = tl.load(
        query + head[:, None] * width + column[None, :], mask=real[:, None] & inside[None, :], other=0
    )
    top = tl.full((queries,), -float("inf"), tl.float32)
    weight = tl.zeros((queries,), tl.float32)
    sums = tl.zeros((queries, block), tl.float32)
    band += kv_head * slots * width
    for first in tl.range(begin, end, keys):
        key = first + tl.arange(0, keys)
        seen = key < end
        at = band + (key - start)[:, None] * width + column[None, :]
        there = seen[:, None] & inside[None, :]
        tile = tl.load(at, mask=there, other=0)
        scores = tl.dot(asked, tile.trans(), input_precision="ieee") * scale
        scores = tl.where(seen[None, :], scores, -float("inf"))
        higher = tl.maximum(top, tl.max(scores, axis=1))
        shares = tl.exp(scores - higher[:, None])
        kept = tl.exp(top - higher)
        weight = weight * kept + tl.sum(shares, axis=1)
        tile = tl.load(at + kv_heads * slots * width, mask=there, other=0)
        sums = tl.dot(shares.to(tile.dtype), tile, sums * kept[:, None], input_precision="ieee")
        top = higher
    part = head * splits + split
    tl.store(highest + part, top, mask=real)
    tl.store(total + part, weight, mask=real)
    tl.store(mixed + part[:, None] * width + column[None, :], sums, mask=real[:, None] & inside[None, :])


@triton.jit
def _combine(
    mixed,
    highest,
    total,
    sinks,
    out,
    heads: tl.constexpr,
    width: tl.constexpr,
    splits: tl.constexpr,
    block: tl.constexpr,
):
    token, head = tl.program_id(0), tl.program_id(1)
    column, split = tl.arange(0, block), tl.arange(0, splits)
    part = (token * heads + head) * splits + split
    # The sink takes its share of the softmax and gives nothing.
    sink = tl.load(sinks + head).to(tl.float32)
    top = tl.load(highest + part)
    highest_of_all = tl.maximum(tl.max(top, axis=0), sink)
    kept = tl.exp(top - highest_of_all)
    weight = tl.sum(kept * tl.load(total + part), axis=0) + tl.exp(sink - highest_of_all)
    inside = (column < width)[None, :]
    sums = tl.load(mixed + part[:, None] * width + column[None, :], mask=inside, other=0)
    result = tl.sum(sums * kept[:, None], axis=0) / weight
    tl.store(out + (token * heads + head) * width + column, result, mask=column < width)
