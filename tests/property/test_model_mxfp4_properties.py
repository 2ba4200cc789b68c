"""MXFP4 for any numbers: exact both ways where it can be, the nearest where it cannot."""

from __future__ import annotations

import bisect

import torch
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.model.mxfp4 import BIAS, VALUES, pack, quantise, unpack, unpack_codes
from harmony_py.model.weights import Mxfp4

SIZES = VALUES[:8]
BYTES = st.integers(0, 255)


def matrices(scales: st.SearchStrategy[int]) -> st.SearchStrategy[Mxfp4]:
    """Matrices of up to three rows of up to three groups."""

    def matrix(shape: tuple[int, int]) -> st.SearchStrategy[Mxfp4]:
        count = shape[0] * shape[1]
        return st.builds(
            lambda blocks, scales: Mxfp4(
                torch.tensor(blocks, dtype=torch.uint8).view(*shape, 16),
                torch.tensor(scales, dtype=torch.uint8).view(*shape),
            ),
            st.lists(BYTES, min_size=16 * count, max_size=16 * count),
            st.lists(scales, min_size=count, max_size=count),
        )

    return st.tuples(st.integers(1, 3), st.integers(1, 3)).flatmap(matrix)


def nearest(size: float) -> float:
    """The nearest of the eight sizes by looking at its two neighbours; on a tie the one of even code."""
    above = bisect.bisect_left(SIZES, size)
    if above == len(SIZES):
        return SIZES[-1]
    below = max(above - 1, 0)
    left, right = size - SIZES[below], SIZES[above] - size
    if left == right:
        return SIZES[below if below % 2 == 0 else above]
    return SIZES[below] if left < right else SIZES[above]


@given(matrices(BYTES))
def test_packing_undoes_unpacking(matrix: Mxfp4) -> None:
    assert torch.equal(pack(unpack_codes(matrix.blocks)), matrix.blocks)


@given(matrices(st.integers(0, 252)))
def test_what_came_from_mxfp4_is_quantised_without_loss(matrix: Mxfp4) -> None:
    numbers = unpack(matrix)
    again = quantise(numbers)
    assert torch.equal(unpack(again), numbers)
    assert torch.equal(unpack(again).signbit(), numbers.signbit())
    # There may be two ways to write the same numbers, but from then on it is the same one.
    assert all(map(torch.equal, quantise(unpack(again)), again))


@given(matrices(st.integers(0, 252)))
def test_bfloat16_loses_nothing(matrix: Mxfp4) -> None:
    assert torch.equal(unpack(matrix, torch.bfloat16).float(), unpack(matrix))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=32, max_size=32))
def test_every_number_becomes_the_nearest_that_its_scale_has(numbers: list[float]) -> None:
    matrix = quantise(torch.tensor([numbers]))
    factor = 2.0 ** (int(matrix.scales) - BIAS)
    largest = max(map(abs, numbers)) / factor
    assert largest < 8
    assert largest >= 4 or largest == 0 or int(matrix.scales) == 0
    for number, found in zip(numbers, unpack(matrix)[0].tolist(), strict=True):
        assert abs(found) == nearest(abs(number) / factor) * factor
        assert found == 0 or (found > 0) == (number > 0)
