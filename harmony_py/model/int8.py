"""Dense matrices in eight bits: half of bfloat16's bytes to read for each token.

A number is a whole one from -127 to 127, and 32 of a row share a scale, as in GGUF's Q8_0; the scale is a
bfloat16, which knows the smallest sizes that weights have. A number times its scale is an exact float32.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

from harmony_py.errors import CheckpointError, HarmonyError
from harmony_py.model.config import GROUP
from harmony_py.model.weights import Int8

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from harmony_py.model.weights import Layer, Weights

LARGEST: Final = 127

MATRICES: Final = ("query", "key", "value", "out")
"""Attention's, which `quantised` makes small together with the unembedding."""

_LEAST: Final = 2.0**-149
"""Above zero in float32: what is divided must not vanish."""

_AT_ONCE: Final = 1 << 18
"""So many numbers are rounded at once, in a processor's cache."""


def unpack(matrix: Int8) -> Tensor:
    """The numbers of `matrix`, exactly: float32 [rows, columns]."""
    groups = matrix.numbers.float().view(*matrix.scales.shape, GROUP)
    return (groups * matrix.scales.float().unsqueeze(-1)).flatten(-2)


def quantise(numbers: Tensor) -> Int8:
    """`numbers` [rows, columns] rounded to eight bits.

    A group's scale is the smallest bfloat16 by which its largest number is not beyond 127; then each number
    goes to the nearest multiple, ties to the even one, so that none is off by more than half of the scale.
    Zeros have the scale 0. Computed in float32; what is not finite there is refused.
    """
    rows, columns = numbers.shape
    if columns % GROUP:
        raise HarmonyError(f"columns: expected a multiple of {GROUP}, found {columns}")
    made = Int8(
        torch.empty(rows, columns, dtype=torch.int8, device=numbers.device),
        torch.empty(rows, columns // GROUP, dtype=torch.bfloat16, device=numbers.device),
    )
    each = max(1, _AT_ONCE // columns)
    for start in range(0, rows, each):
        part = numbers[start : start + each].detach().float()
        groups = part.reshape(len(part), -1, GROUP)
        largest = groups.abs().amax(dim=-1)
        if not largest.isfinite().all():
            row, column = (~part.isfinite()).nonzero()[0].tolist()
            place = start + row, column
            raise HarmonyError(f"number {place}: expected a finite one, found {part[row, column].item()}")
        scales = _rounded_up(torch.where(largest == 0, 0, (largest / LARGEST).clamp_min(_LEAST)))
        made.scales[start : start + each] = scales
        steps = torch.where(scales == 0, 1, scales).float().unsqueeze(-1)
        made.numbers[start : start + each] = (groups / steps).round_().flatten(-2)
    return made


def _rounded_up(sizes: Tensor) -> Tensor:
    """The smallest bfloat16 that is not below each of `sizes`, float32 and not negative."""
    return ((sizes.view(torch.int32) + 0xFFFF) >> 16).to(torch.int16).view(torch.bfloat16)


def bytes_of(shape: tuple[int, ...]) -> int:
    """Bytes of a matrix of this shape."""
    numbers = math.prod(shape)
    return numbers + numbers // GROUP * torch.bfloat16.itemsize


def quantised(weights: Weights, progress: Callable[[int, int], object] | None = None) -> Weights:
    """`weights` with attention's matrices and the unembedding in eight bits; the others are the same tensors.

    `progress` is told after each matrix how many are done, of how many. Raises `CheckpointError`, which
    names the matrix, for numbers that are not finite.
    """
    done, total = 0, len(weights.layers) * len(MATRICES) + 1

    def small(name: str, matrix: Tensor | Int8) -> Int8:
        nonlocal done
        try:
            made = matrix if isinstance(matrix, Int8) else quantise(matrix)
        except HarmonyError as error:
            raise CheckpointError(f"{name}: {error}") from error
        done += 1
        if progress:
            progress(done, total)
        return made

    def layer(index: int, layer: Layer) -> Layer:
        attention = layer.attention
        made: dict[str, Any] = {
            name: small(f"layer {index}, attention.{name}", getattr(attention, name)) for name in MATRICES
        }
        return layer._replace(attention=attention._replace(**made))

    layers = tuple(layer(index, each) for index, each in enumerate(weights.layers))
    return weights._replace(layers=layers, unembedding=small("unembedding", weights.unembedding))
