"""MXFP4 against its definition: every byte with every scale, every tie, and what cannot be rounded."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from harmony_py.errors import HarmonyError
from harmony_py.model.mxfp4 import VALUES, pack, quantise, unpack, unpack_codes
from harmony_py.model.weights import Mxfp4

LARGEST = {torch.float32: torch.finfo(torch.float32).max, torch.bfloat16: torch.finfo(torch.bfloat16).max}


def value_of(code: int) -> Fraction:
    """By the standard: a sign, two bits of exponent with a bias of one, a bit of mantissa."""
    sign, exponent, mantissa = -1 if code & 8 else 1, code >> 1 & 3, code & 1
    if exponent == 0:
        return sign * Fraction(mantissa, 2)
    return sign * (1 + Fraction(mantissa, 2)) * Fraction(2) ** (exponent - 1)


def test_the_sixteen_values() -> None:
    assert [Fraction(value) for value in VALUES] == [value_of(code) for code in range(16)]
    assert str(VALUES[8]) == "-0.0"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_byte_with_every_scale(dtype: torch.dtype) -> None:
    blocks = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).expand(256, 16, 16)
    scales = torch.arange(256, dtype=torch.uint8).view(256, 1).expand(256, 16)
    numbers = unpack(Mxfp4(blocks, scales), dtype)
    assert numbers.dtype == dtype
    found = numbers.view(256, 256, 2).double().tolist()
    values = [float(value_of(code)) for code in range(16)]
    for scale in range(255):
        # Exact: a double has room for every one of them.
        exact = [math.ldexp(value, scale - 127) for value in values]
        rounded = [
            math.copysign(math.inf, value) if abs(value) > LARGEST[dtype] else value for value in exact
        ]
        assert rounded == exact or scale >= 253
        assert found[scale] == [[rounded[byte & 15], rounded[byte >> 4]] for byte in range(256)]
    assert numbers[255].isnan().all()


def test_the_sign_of_zero_is_kept() -> None:
    numbers = unpack(
        Mxfp4(torch.full((1, 1, 16), 0x80, dtype=torch.uint8), torch.tensor([[127]], dtype=torch.uint8))
    )
    assert numbers.signbit().tolist() == [[False, True] * 16]
    codes = unpack_codes(quantise(numbers).blocks)
    assert codes.tolist() == [[0, 8] * 16]


def test_a_row_by_hand() -> None:
    # 32 numbers from 16 bytes: low code first. 0x21 is 0.5, 1; a scale of 130 is eight times that.
    blocks = torch.tensor([[[0x21, 0xF7] + [0] * 14]], dtype=torch.uint8)
    row = unpack(Mxfp4(blocks, torch.tensor([[130]], dtype=torch.uint8)))
    assert row.tolist() == [[4.0, 8.0, 48.0, -48.0] + [0.0] * 28]


def test_codes_are_packed_as_they_are_unpacked() -> None:
    codes = torch.arange(64, dtype=torch.uint8).view(1, 64) % 16
    blocks = pack(codes)
    assert blocks.shape == (1, 2, 16)
    assert blocks[0, 0].tolist() == [low | low + 1 << 4 for low in range(0, 16, 2)] * 2
    assert torch.equal(unpack_codes(blocks), codes)


def group(*numbers: float) -> torch.Tensor:
    return torch.tensor([[*numbers, *[0.0] * (32 - len(numbers))]])


def test_ties_go_to_the_even_mantissa() -> None:
    # 4 makes the scale one.
    ties = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]
    even = [0.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0]
    for sign in (1, -1):
        matrix = quantise(group(4.0, *(sign * tie for tie in ties)))
        assert matrix.scales.tolist() == [[127]]
        assert unpack(matrix)[0, 1:8].tolist() == [sign * number for number in even]


@pytest.mark.parametrize(
    ("largest", "scale", "becomes"),
    [
        (4.0, 127, 4.0),
        (6.0, 127, 6.0),
        (7.99, 127, 6.0),
        (8.0, 128, 8.0),
        (3.99, 126, 3.0),
        (0.0, 127, 0.0),
        (2.0**-128, 0, 2.0**-128),
        (2.0**-149, 0, 0.0),
        (2.0**127, 252, 2.0**127),
        (torch.finfo(torch.float32).max, 252, 1.5 * 2.0**127),
    ],
)
def test_the_scale_follows_the_largest_number(largest: float, scale: int, becomes: float) -> None:
    for sign in (1, -1):
        matrix = quantise(group(0.0, sign * largest))
        assert matrix.scales.tolist() == [[scale]]
        assert unpack(matrix)[0, 1].item() == sign * becomes


def test_groups_have_scales_of_their_own() -> None:
    numbers = torch.cat([group(1.0), group(64.0)], dim=1).repeat(2, 3, 1)
    matrix = quantise(numbers)
    assert matrix.blocks.shape == (2, 3, 2, 16)
    assert matrix.scales.tolist() == [[[125, 131]] * 3] * 2
    assert torch.equal(unpack(matrix), numbers)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    numbers = torch.zeros(2, 64)
    numbers[1, 40] = bad
    with pytest.raises(HarmonyError, match=rf"number \(1, 40\): expected a finite one, found {bad}"):
        quantise(numbers)


def test_a_row_that_is_no_multiple_of_a_group_is_refused() -> None:
    with pytest.raises(HarmonyError, match="columns: expected a multiple of 32, found 33"):
        quantise(torch.zeros(2, 33))
