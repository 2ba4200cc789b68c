"""MXFP4: numbers of four bits, 32 of which share a scale (OCP Microscaling Formats, version 1.0).

A number is a sign, two bits of exponent and one of mantissa: 0, 0.5, 1, 1.5, 2, 3, 4 or 6. A scale is a byte
b for 2**(b - 127); 255 is not a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from harmony_py.errors import HarmonyError
from harmony_py.model.config import GROUP
from harmony_py.model.weights import Mxfp4

if TYPE_CHECKING:
    from torch import Tensor

VALUES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)
"""What each of the sixteen codes means, before its scale."""

BIAS: Final = 127
NAN_SCALE: Final = 255

_LARGEST_EXPONENT: Final = 2
"""Of 4 and 6, the largest numbers."""


_PAIRS: Final = torch.tensor([(VALUES[byte & 15], VALUES[byte >> 4]) for byte in range(256)])
_FACTORS: Final = torch.tensor([*(2.0 ** (byte - BIAS) for byte in range(NAN_SCALE)), torch.nan])
"""What each byte of blocks and of scales means."""


def unpack(matrix: Mxfp4, dtype: torch.dtype = torch.float32) -> Tensor:
    """The numbers of `matrix`, [..., rows, columns].

    Exact in float32 and in bfloat16, but for scales from 253 on, of which the largest numbers are infinite
    there. The scale 255 makes all its numbers NaN.
    """
    numbers = functional.embedding(matrix.blocks.int(), _PAIRS.to(matrix.blocks.device)).flatten(-2)
    return (numbers * _factors(matrix.scales).unsqueeze(-1)).flatten(-2).to(dtype)


def _factors(scales: Tensor) -> Tensor:
    return _FACTORS.to(scales.device)[scales.int()]


def pack(codes: Tensor) -> Tensor:
    """Blocks of codes from 0 to 15: uint8 [..., columns] to [..., columns / 32, 16]."""
    shape = (*codes.shape[:-1], -1, GROUP // 2)
    return (codes[..., 0::2] | codes[..., 1::2] << 4).reshape(shape)


def unpack_codes(blocks: Tensor) -> Tensor:
    """The codes in `blocks`: the inverse of `pack`."""
    return torch.stack((blocks & 15, blocks >> 4), dim=-1).flatten(-3)


def quantise(numbers: Tensor) -> Mxfp4:
    """`numbers` [..., rows, columns] rounded to MXFP4, as the standard does it in its section 6.3.

    A group's scale is the power of two that brings its largest number between 4 and 8; then each number is
    rounded to the nearest there is, ties to the even mantissa, and 6 is the most. Numbers that came from
    MXFP4 keep their values exactly. A group of zeros has the scale 1. Computed in float32; what is not finite
    there is refused.
    """
    if numbers.shape[-1] % GROUP:
        raise HarmonyError(f"columns: expected a multiple of {GROUP}, found {numbers.shape[-1]}")
    groups = numbers.detach().float().reshape(*numbers.shape[:-1], -1, GROUP)
    finite = groups.isfinite()
    if not finite.all():
        row = tuple((~finite.flatten(-2)).nonzero()[0].tolist())
        raise HarmonyError(f"number {row}: expected a finite one, found {numbers[row].item()}")
    largest = groups.abs().amax(dim=-1)
    # frexp's mantissa lies below one, so that its exponent is one more than the logarithm rounded down.
    exponents = torch.frexp(largest).exponent - 1 - _LARGEST_EXPONENT
    scales = torch.where(largest == 0, 0, exponents).clamp(min=-BIAS) + BIAS
    scales = scales.to(torch.uint8)
    codes = _round(groups / _factors(scales).unsqueeze(-1))
    return Mxfp4(pack(codes.flatten(-2)), scales)


def _round(numbers: Tensor) -> Tensor:
    """The code nearest to each number; on a tie the even one, as `round` has it: its mantissa is even."""
    sizes = numbers.abs()
    below_two, below_four, above = (sizes * 2).round(), sizes.round() + 2, (sizes / 2).round() + 4
    codes = torch.where(sizes < 2, below_two, torch.where(sizes < 4, below_four, above)).clamp(max=7)
    return codes.to(torch.uint8) | numbers.signbit().to(torch.uint8) << 3
