"""Weights to begin with. Copying is set up by hand, so that minutes of training suffice; the rest is random.

Layer 0 gets heads that look one and two tokens back and note these tokens' codes, each turned its own way,
beside the token's own. Layer 1 gets heads that look for the tokens whose note of the token before is the
code at hand, and say what they find there: what came after the same token earlier comes next again.
Training may keep, bend or drop any of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from harmony_py.model.rope import paces
from harmony_py.model.toy_checkpoint.codes import SPACE_SIGNS
from harmony_py.model.weights import build, shapes

if TYPE_CHECKING:
    from torch import Tensor

    from harmony_py.model.config import ModelConfig
    from harmony_py.model.weights import Attention, Weights

OFFSET_SHARPNESS = 6.5
MATCH_SHARPNESS = 1.6


@torch.no_grad()
def initial(config: ModelConfig) -> Weights:
    """The weights, all to be trained but for embedding and unembedding, which are left empty."""
    table = shapes(config)

    def draw(name: str, layer: int | None) -> Tensor:
        shape = table[name]
        field = name.rpartition(".")[2]
        if layer is None and field.endswith("embedding"):
            return torch.empty(0, config.hidden)
        if field == "norm":
            # Behind the last one come the logits: the right one of 200,000 has to stand out.
            return torch.full(shape, 3.0 if layer is None else 1.0)
        if field.endswith("bias") or field == "sinks":
            return torch.zeros(shape)
        scale = (0.1 if field in ("out", "down") else 1.0) / math.sqrt(shape[-1])
        return torch.randn(shape) * scale

    weights = build(config.layers, draw)
    turnings = [_turning(config.hidden) for _ in range(2)]
    _look_back(weights.layers[0].attention, config, turnings)
    _look_for_the_same(weights.layers[1].attention, config, turnings[0])
    return weights


def _turning(size: int) -> Tensor:
    """A matrix that moves and flips numbers: what it makes of a code resembles no code."""
    signs = torch.randint(0, 2, (size, 1)) * 2.0 - 1
    return torch.eye(size)[torch.randperm(size)] * signs


def _look_back(attention: Attention, config: ModelConfig, turnings: list[Tensor]) -> None:
    """Heads by position alone: a query's bias is the keys' bias turned by as many steps as it looks back."""
    half, size = config.hidden // 2, config.head_dim
    for matrix in (attention.query, attention.key, attention.value):
        matrix.mul_(0.1)
    fast = (paces(config) > 0.4).float() * OFFSET_SHARPNESS
    for group in range(2):
        attention.key_bias[group * size :][:size] = torch.cat((fast, torch.zeros_like(fast)))
        attention.value[group * size :][:size, group * half :][:, :half] += torch.eye(size)
        for head, turning, note in zip((2 * group, 2 * group + 1), turnings, (0.7, 0.5), strict=True):
            angles = -paces(config) * (head % 2 + 1)
            attention.query_bias[head * size :][:size] = torch.cat((fast * angles.cos(), fast * angles.sin()))
            attention.out[:, head * size :][:, :size] += note * turning[:, group * half :][:, :half]


def _look_for_the_same(attention: Attention, config: ModelConfig, turning: Tensor) -> None:
    """Heads by content, in those of a head's numbers that hardly turn with the position."""
    half, size = config.hidden // 2, config.head_dim
    slow = (paces(config) < 1 / 300).nonzero().flatten()
    places = torch.cat((slow, slow + size // 2))
    for group in range(2):
        read = torch.randperm(config.hidden - SPACE_SIGNS)[: len(places)]
        code = torch.eye(config.hidden)[read] * MATCH_SHARPNESS
        attention.key[group * size + places] = code @ turning.T
        attention.query[2 * group * size + places] = code
        attention.value[group * size :][:size] *= 0.1
        attention.value[group * size :][:size, group * half :][:, :half] += torch.eye(size)
    # The unembedding's code is (second half, minus first half).
    attention.out[half:, :size] -= 2 * torch.eye(size)
    attention.out[:half, 2 * size :][:, :size] += 2 * torch.eye(size)
