# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"
"""How Triton kernels read MXFP4: eight numbers to a word, unpacked in registers by three operations each.

Where tokens are few, what a row is multiplied with lies in `planes`: by each number's place in its word, the
first of every word, then the second. So a thread reads what goes with its words, and nothing changes places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from torch import Tensor

INTERPRETED: Final[bool] = triton.knobs.runtime.interpret
"""Whether this process has no compiler but Triton's interpreter."""

inlined = (lambda function: function) if INTERPRETED else triton.jit
"""For what kernels call. The interpreter prepares every call of a function of Triton's anew, which takes far
longer than the call; a plain function does as well there."""

_RAISED = tl.constexpr(2.0**80)
"""A number is unpacked 2**126 times too small, as far down as float32 goes. To bring each up would take one
more operation; instead what it is multiplied with is raised by this, and products stay clear of that end."""

_RESTORED = tl.constexpr(2.0**46)
_WHOLE = tl.constexpr(2.0**126)
_KEPT = tl.constexpr(0x81C00000 - (1 << 32))
_LEAST = tl.constexpr(0x00400000)
_NAN = tl.constexpr(0x7FC00000)


def words(blocks: Tensor) -> Tensor:
    """`blocks` uint8 [..., 16] as int32 [..., 4], where they lie."""
    return blocks.view(torch.int32)


def planes(x: Tensor) -> Tensor:
    """`x` [m, k] as [m, 8, k / 8], by each number's place in its word, and raised: exact, of `x`'s type."""
    result: Tensor = x.view(len(x), -1, 8).transpose(1, 2) * _RAISED.value
    return result.contiguous()


@inlined
def place(column, columns: tl.constexpr):
    """Where in its row of planes a column's number lies."""
    return column % 8 * (columns // 8) + column // 8


@inlined
def raised(number, dtype: tl.constexpr):
    """A number as it lies in planes: rounded first, so that what is raised is what was."""
    return (number.to(dtype).to(tl.float32) * _RAISED).to(dtype)


@inlined
def unpacked(tile, shift):
    """Of a tile of words the numbers that come to the top when they are shifted so, 2**126 times too small.

    Four bits are a sign, two of exponent and one of mantissa: as float32's topmost and as its lowest of
    exponent and highest of mantissa they mean the same, but for the exponent's bias. The one subnormal, 0.5,
    is one there, too. The arithmetic shift carries the sign along.
    """
    return ((tile << shift) >> 6 & _KEPT).to(tl.float32, bitcast=True)


@inlined
def factors(scales):
    """Scales' powers of two. The least is subnormal; 255 is NaN."""
    bits = scales.to(tl.int32) << 23
    bits = tl.where(scales == 0, _LEAST, bits)
    return tl.where(scales == 255, _NAN, bits).to(tl.float32, bitcast=True)


@inlined
def products(x, matrix, scales, row, rows, start, groups: tl.constexpr, block: tl.constexpr):
    """What some rows of a matrix in MXFP4 and one row of planes come to, for `block` groups from `start` on.

    float32 [rows, block]: a group's products summed, times its scale.
    """
    group, word = start + tl.arange(0, block), tl.arange(0, 4)
    at = row[:, None].to(tl.int64) * groups + group[None, :]
    there = (row < rows)[:, None] & (group < groups)[None, :]
    tile = tl.load(matrix + at[:, :, None] * 4 + word[None, None, :], mask=there[:, :, None], other=0)
    column = group[:, None] * 4 + word[None, :]
    sums = tl.zeros(tile.shape, tl.float32)
    for plane in tl.static_range(8):
        number = tl.load(x + plane * groups * 4 + column, mask=(group < groups)[:, None], other=0)
        sums += unpacked(tile, 28 - 4 * plane) * number.to(tl.float32)[None, :, :]
    return tl.sum(sums, axis=2) * _RESTORED * factors(tl.load(scales + at, mask=there, other=127))


@inlined
def numbers(matrix, scales, row, rows, start, groups: tl.constexpr, block: tl.constexpr, dtype: tl.constexpr):
    """`block` groups of some rows of a matrix in MXFP4, unpacked: [rows, 32 * block]. Exact in bfloat16."""
    group, word = start + tl.arange(0, block), tl.arange(0, 4)
    at = row[:, None].to(tl.int64) * groups + group[None, :]
    there = (row < rows)[:, None] & (group < groups)[None, :]
    tile = tl.load(matrix + at[:, :, None] * 4 + word[None, None, :], mask=there[:, :, None], other=0)
    factor = factors(tl.load(scales + at, mask=there, other=127))
    shift = 28 - 4 * tl.arange(0, 8)
    result = unpacked(tile[:, :, :, None], shift[None, None, None, :]) * _WHOLE * factor[:, :, None, None]
    return result.to(dtype).reshape(row.shape[0], 32 * block)
