# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"
"""A few tokens times a dense matrix: weights are read once, for all tokens together.

Each token's sums are made apart and in one order, so that it comes out the same beside any others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import triton
import triton.language as tl

from harmony_py.model.kernels.triton.packed import inlined

if TYPE_CHECKING:
    from torch import Tensor

MOST: Final = 8
"""Tokens that fit a kernel's registers. Of more, torch's matrix product makes better use."""

ROWS: Final = 8
COLUMNS: Final = 256


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None, out: Tensor) -> None:
    """`out` = `x` [m, k] times `weight` [n, k], plus `bias` [n], plus `residual` [m, n], rounded as `x` is.

    `residual` may be `out`. At most `MOST` tokens.
    """
    rows, columns = weight.shape
    _linear[(triton.cdiv(rows, ROWS),)](
        x,
        weight,
        bias,
        residual,
        out,
        rows,
        columns,
        tokens=len(x),
        block=ROWS,
        step=COLUMNS,
        enable_fp_fusion=True,
    )


def project(x: Tensor, parts: tuple[tuple[Tensor, Tensor], ...], out: Tensor) -> None:
    """`x` times each of three matrices, plus its bias, side by side in `out`: queries, keys and values."""
    (query, query_bias), (key, key_bias), (value, value_bias) = parts
    blocks = triton.cdiv(len(query), ROWS) + triton.cdiv(len(key), ROWS) + triton.cdiv(len(value), ROWS)
    _project[(blocks,)](
        x,
        query,
        query_bias,
        key,
        key_bias,
        value,
        value_bias,
        out,
        len(query),
        len(key),
        query.shape[1],
        tokens=len(x),
        block=ROWS,
        step=COLUMNS,
        enable_fp_fusion=True,
    )


@triton.jit
def _linear(
    x,
    weight,
    bias,
    residual,
    out,
    rows,
    columns: tl.constexpr,
    tokens: tl.constexpr,
    block: tl.constexpr,
    step: tl.constexpr,
):
    row = tl.program_id(0) * block + tl.arange(0, block)
    there = row < rows
    sums = _sums(x, weight, row, there, columns, tokens, block, step)
    for token in tl.static_range(tokens):
        number = tl.sum(sums[token], axis=1)
        if bias is not None:
            number += tl.load(bias + row, mask=there, other=0).to(tl.float32)
        number = number.to(x.dtype.element_ty)
        if residual is not None:
            before = tl.load(residual + token * rows + row, mask=there, other=0)
            number = (before.to(tl.float32) + number.to(tl.float32)).to(x.dtype.element_ty)
        tl.store(out + token * rows + row, number, mask=there)


@triton.jit
def _project(
    x,
    query,
    query_bias,
    key,
    key_bias,
    value,
    value_bias,
    out,
    query_rows,
    key_rows,
    columns: tl.constexpr,
    tokens: tl.constexpr,
    block: tl.constexpr,
    step: tl.constexpr,
):
    at = tl.program_id(0)
    query_blocks = (query_rows + block - 1) // block
    key_blocks = (key_rows + block - 1) // block
    weight, bias, rows, before = query, query_bias, query_rows, 0
    if at >= query_blocks + key_blocks:
        at -= query_blocks + key_blocks
        weight, bias, rows, before = value, value_bias, key_rows, query_rows + key_rows
    elif at >= query_blocks:
        at -= query_blocks
        weight, bias, rows, before = key, key_bias, key_rows, query_rows
    row = at * block + tl.arange(0, block)
    there = row < rows
    sums = _sums(x, weight, row, there, columns, tokens, block, step)
    added = tl.load(bias + row, mask=there, other=0).to(tl.float32)
    for token in tl.static_range(tokens):
        number = tl.sum(sums[token], axis=1) + added
        tl.store(out + token * (query_rows + 2 * key_rows) + before + row, number, mask=there)


@inlined
def _sums(
    x,
    weight,
    row,
    there,
    columns: tl.constexpr,
    tokens: tl.constexpr,
    block: tl.constexpr,
    step: tl.constexpr,
):
    """For each token, sums of products by row and by column modulo `step`."""
    sums = (tl.zeros((block, step), tl.float32),) * tokens
    for start in tl.range(0, columns, step, num_stages=1 if tokens <= 2 else 4):
        column = start + tl.arange(0, step)
        inside = column < columns
        at = row[:, None].to(tl.int64) * columns + column[None, :]
        tile = tl.load(weight + at, mask=there[:, None] & inside[None, :], other=0).to(tl.float32)
        before, sums = sums, ()
        for token in tl.static_range(tokens):
            number = tl.load(x + token * columns + column, mask=inside, other=0).to(tl.float32)
            sums += (before[token] + tile * number[None, :],)
    return sums
