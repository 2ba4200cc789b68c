"""Where a token stands, told by turning its queries and keys: rotary positions, stretched by YaRN.

Pairs of a head's numbers, (i, i + head_dim / 2), are turned by an angle that grows with the position, each
pair at its own pace. The fast ones keep the pace they were trained with; the slow ones, which never came
round in the original context, are slowed by the whole factor; between the two there is a ramp.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from harmony_py.model.config import ModelConfig


class Turns(NamedTuple):
    """Cosines and sines of some positions, float32 [positions, head_dim / 2], YaRN's stretch in them."""

    cos: Tensor
    sin: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """`x` [positions, heads, head_dim] turned, in its own type."""
        cos, sin = (table.to(x.dtype).unsqueeze(1) for table in self)
        first, second = x.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def turns(config: ModelConfig, positions: Tensor) -> Turns:
    """The turns of `positions` [any number of them]."""
    angles = positions.float().unsqueeze(1) * paces(config).to(positions.device)
    stretch = concentration(config)
    return Turns(angles.cos() * stretch, angles.sin() * stretch)


def paces(config: ModelConfig) -> Tensor:
    """By how much a position turns each pair: float32 [head_dim / 2]."""
    half = config.head_dim // 2
    trained = 1 / config.rope_theta ** (torch.arange(half, dtype=torch.float32) / half)
    low, high = config.rope_ramp
    ramp = ((torch.arange(half, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
    return trained * (1 - ramp) + trained / config.rope_factor * ramp


def concentration(config: ModelConfig) -> float:
    """What YaRN multiplies queries and keys with, to keep attention sharp over the longer context."""
    return 0.1 * math.log(config.rope_factor) + 1
