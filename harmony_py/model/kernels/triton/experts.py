# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"
"""The experts of a few tokens: for each token and expert one pass over the expert's rows, read as they lie.

Pairs that share an expert run beside each other, so that only the first reads its weights from memory. Each
pair is computed alone: a token comes out the same beside any others.

An expert that there is not makes its token NaN, and nothing outside of the weights is read: a device cannot
raise, and waiting for it would cost more than the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import triton
import triton.language as tl

from harmony_py.model.config import SWIGLU_ALPHA
from harmony_py.model.kernels.triton.packed import inlined, place, products, raised, words

if TYPE_CHECKING:
    from torch import Tensor

MOST: Final = 16
"""Tokens up to which a pass for each pair is faster than sorting them by expert."""

ROWS: Final = 8
GROUPS: Final = 32

_ALPHA = tl.constexpr(SWIGLU_ALPHA)


def inner(
    x: Tensor, chosen: Tensor, blocks: Tensor, scales: Tensor, bias: Tensor, limit: float, out: Tensor
) -> None:
    """`out` [pairs, intermediate] = what `swiglu` makes of each pair's first product, in planes.

    `x` [tokens, hidden] is in planes, too; `chosen` [tokens, top] are the tokens' experts.
    """
    count, rows, groups = scales.shape
    _inner[(chosen.numel(), triton.cdiv(rows, 2 * ROWS))](
        x,
        chosen,
        words(blocks),
        scales,
        bias,
        out,
        limit,
        count,
        rows,
        groups,
        top=chosen.shape[1],
        block=2 * ROWS,
        step=GROUPS,
        enable_fp_fusion=True,
    )


def outer(
    x: Tensor,
    chosen: Tensor | None,
    shares: Tensor | None,
    blocks: Tensor,
    scales: Tensor,
    bias: Tensor | None,
    out: Tensor,
) -> None:
    """`out` [pairs, rows] = each pair's planes in `x` times its expert, plus bias, times its share.

    Without `chosen` there is one expert, and every share is one.
    """
    rows, groups = scales.shape[-2:]
    _outer[(len(x), triton.cdiv(rows, ROWS))](
        x,
        chosen,
        shares,
        words(blocks),
        scales,
        bias,
        out,
        1 if chosen is None else len(scales),
        rows,
        groups,
        block=ROWS,
        step=GROUPS,
        enable_fp_fusion=True,
    )


@triton.jit
def _inner(
    x,
    chosen,
    matrix,
    scales,
    bias,
    out,
    limit,
    count,
    rows,
    groups: tl.constexpr,
    top: tl.constexpr,
    block: tl.constexpr,
    step: tl.constexpr,
):
    pair = tl.program_id(0)
    expert = tl.load(chosen + pair).to(tl.int64)
    known = (expert >= 0) & (expert < count)
    expert = tl.where(known, expert, 0)
    row = tl.program_id(1) * block + tl.arange(0, block)
    at = x + pair // top * groups * 32
    numbers = _expert(at, matrix, scales, bias, expert, row, rows, groups, step)
    gate, up = tl.split(numbers.reshape(block // 2, 2))
    result = tl.where(known, swiglu(gate, up, limit), float("nan"))
    column = tl.program_id(1) * (block // 2) + tl.arange(0, block // 2)
    at = out + pair.to(tl.int64) * (rows // 2) + place(column, rows // 2)
    tl.store(at, raised(result, out.dtype.element_ty), mask=column < rows // 2)


@triton.jit
def _outer(
    x,
    chosen,
    shares,
    matrix,
    scales,
    bias,
    out,
    count,
    rows,
    groups: tl.constexpr,
    block: tl.constexpr,
    step: tl.constexpr,
):
    pair = tl.program_id(0)
    row = tl.program_id(1) * block + tl.arange(0, block)
    expert = tl.zeros((), tl.int64)
    known = True
    if chosen is not None:
        expert = tl.load(chosen + pair).to(tl.int64)
        known = (expert >= 0) & (expert < count)
        expert = tl.where(known, expert, 0)
    numbers = _expert(x + pair * groups * 32, matrix, scales, bias, expert, row, rows, groups, step)
    if shares is not None:
        numbers *= tl.load(shares + pair)
    result = tl.where(known, numbers, float("nan"))
    tl.store(out + pair.to(tl.int64) * rows + row, result, mask=row < rows)


@inlined
def _expert(x, matrix, scales, bias, expert, row, rows, groups: tl.constexpr, step: tl.constexpr):
    """Some rows of an expert times one row of planes, plus their biases."""
    before = expert * rows
    sums = tl.zeros((row.shape[0], step), tl.float32)
    for start in tl.range(0, groups, step):
        sums += products(
            x, matrix + before * groups * 4, scales + before * groups, row, rows, start, groups, step
        )
    numbers = tl.sum(sums, axis=1)
    if bias is not None:
        numbers += tl.load(bias + before + row, mask=row < rows, other=0).to(tl.float32)
    return numbers


@inlined
def swiglu(gate, up, limit):
    """See `ops.swiglu`. Written so that NaN stays NaN, which a minimum would hide."""
    gate = tl.where(gate > limit, limit, gate)
    up = tl.where(up > limit, limit, tl.where(up < -limit, -limit, up))
    return gate / (1 + tl.exp(gate * -_ALPHA)) * (up + 1)
