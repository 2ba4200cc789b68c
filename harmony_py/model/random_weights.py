"""Weights drawn by chance, for tests and benchmarks: of any size, one tensor at a time, the same for a seed.

They are of such sizes that numbers stay about as large from layer to layer, and that every part of the model
makes a difference.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import torch

from harmony_py.model.config import GROUP
from harmony_py.model.mxfp4 import BIAS
from harmony_py.model.weights import Mxfp4, build, shapes

if TYPE_CHECKING:
    from torch import Tensor

    from harmony_py.model.config import ModelConfig
    from harmony_py.model.weights import Weights

_AT_ONCE = 1 << 22
"""So many numbers are drawn at once, so that no large tensor is there twice."""


def random_weights(config: ModelConfig, *, seed: int) -> Weights:
    """All weights of a model: bfloat16, and MXFP4 for the experts' matrices."""
    return build(config.layers, lambda name, layer: random_field(config, seed, name, layer))


def random_field(config: ModelConfig, seed: int, name: str, layer: int | None) -> Tensor | Mxfp4:
    """One tensor by its name in `weights.shapes`. It does not depend on which others are drawn."""
    shape = shapes(config)[name]
    generator = torch.Generator().manual_seed(_seed(seed, name, layer))
    if name in ("experts.gate_up", "experts.down"):
        return _draw_mxfp4(shape, generator)
    mean, spread = 0.0, 1 / math.sqrt(config.hidden)
    if name.endswith("norm"):
        mean, spread = 1.0, 0.1
    elif name == "attention.sinks":
        spread = 1.0
    numbers = torch.empty(math.prod(shape), dtype=torch.bfloat16)
    for part in torch.split(numbers, _AT_ONCE):
        # Sixteen bits each, evenly spread: a normal distribution would take three times as long.
        part.copy_(_draw(len(part), torch.int16, generator))
        part.mul_(spread * math.sqrt(3) / (1 << 15)).add_(mean)
    return numbers.view(shape)


def _draw_mxfp4(shape: tuple[int, ...], generator: torch.Generator) -> Mxfp4:
    """Every code as likely as every other, and five scales around the one that keeps sizes as they are."""
    *rows, columns = shape
    # The root of the mean square of the sixteen values is 2.93.
    middle = BIAS - round(math.log2(2.93 * math.sqrt(columns)))
    groups = (*rows, columns // GROUP)
    blocks = _draw(math.prod(shape) // 2, torch.uint8, generator).view(*groups, GROUP // 2)
    scales = torch.randint(middle - 2, middle + 3, groups, dtype=torch.uint8, generator=generator)
    return Mxfp4(blocks, scales)


def _draw(count: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Numbers of which every bit is as likely as not, drawn eight bytes at a time."""
    wide = torch.empty(-(-count * dtype.itemsize // 8), dtype=torch.int64)
    return wide.random_(-(1 << 63), None, generator=generator).view(dtype)[:count]


def _seed(seed: int, name: str, layer: int | None) -> int:
    digest = hashlib.sha256(f"{seed} {name} {layer}".encode()).digest()
    return int.from_bytes(digest[:7], "little")
