"""The whole model in plain torch, without a cache: what the model is, and what faster ways are compared with.

Read it from `forward` down. Numbers are computed in one type throughout, but for what has to be float32:
the mean of squares, angles, and the softmax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harmony_py.errors import HarmonyError
from harmony_py.model.ops import TORCH
from harmony_py.model.rope import turns

if TYPE_CHECKING:
    from torch import Tensor

    from harmony_py.model.config import ModelConfig
    from harmony_py.model.ops import Kernels
    from harmony_py.model.rope import Turns
    from harmony_py.model.weights import Attention, Experts, Weights


@torch.no_grad()
def forward(
    weights: Weights,
    config: ModelConfig,
    ids: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    kernels: Kernels = TORCH,
) -> Tensor:
    """The logits behind each of `ids` (int64 [length]): float32 [length, vocab].

    `kernels` compute the experts. Takes time and memory in the square of the length.
    """
    check_ids(ids, config)
    turn = turns(config, torch.arange(len(ids), device=ids.device))
    x = weights.embedding[ids].to(dtype)
    for index, layer in enumerate(weights.layers):
        x = x + attend(x, layer.attention, config, turn, config.window(index))
        x = x + consult(x, layer.experts, config, kernels)
    return TORCH.dense(normalise(x, weights.norm, config.norm_eps), weights.unembedding).float()


def check_ids(ids: Tensor, config: ModelConfig) -> None:
    """Refuses what is no row of ids, or holds one that the model has no embedding for."""
    if ids.dtype != torch.int64 or ids.dim() != 1:
        raise HarmonyError(f"ids: expected int64 [length], found {ids.dtype} {list(ids.shape)}")
    wrong = ((ids < 0) | (ids >= config.vocab)).nonzero().flatten().tolist()
    if wrong:
        raise HarmonyError(f"id {ids[wrong[0]]} at {wrong[0]}: expected 0 to {config.vocab - 1}")


def normalise(x: Tensor, scale: Tensor, eps: float) -> Tensor:
    """`x` brought to a mean square of one along its last side, times `scale`; rounded once, at the end."""
    wide = x.float()
    square = wide.square().mean(dim=-1, keepdim=True)
    return (wide * torch.rsqrt(square + eps) * scale.float()).to(x.dtype)


def attend(x: Tensor, weights: Attention, config: ModelConfig, turn: Turns, window: int | None) -> Tensor:
    """What attention adds to `x` [length, hidden]. Each key serves several queries' heads."""
    x = normalise(x, weights.norm, config.norm_eps)
    query = TORCH.dense(x, weights.query, weights.query_bias).view(-1, config.heads, config.head_dim)
    key = TORCH.dense(x, weights.key, weights.key_bias).view(-1, config.kv_heads, config.head_dim)
    value = TORCH.dense(x, weights.value, weights.value_bias).view(-1, config.kv_heads, config.head_dim)
    shared = config.heads // config.kv_heads
    key, value = turn(key).repeat_interleave(shared, dim=1), value.repeat_interleave(shared, dim=1)
    scores = torch.einsum("qhd,khd->hqk", turn(query), key).float() / config.head_dim**0.5
    scores = scores.masked_fill(hidden(len(x), window).to(x.device), -torch.inf)
    shares = softmax_with_sink(scores, weights.sinks[:, None, None]).to(x.dtype)
    mixed = torch.einsum("hqk,khd->qhd", shares, value).flatten(1)
    return TORCH.dense(mixed, weights.out, weights.out_bias)


def hidden(length: int, window: int | None) -> Tensor:
    """Which keys (columns) a query (row) does not see: later ones, and those that have left the window."""
    back = torch.arange(length)[:, None] - torch.arange(length)
    return (back < 0) | (back >= window) if window is not None else back < 0


def softmax_with_sink(scores: Tensor, sinks: Tensor) -> Tensor:
    """Softmax over the last side with one more score in it, which takes its share and is then left out."""
    sinks = sinks.float().expand(*scores.shape[:-1], 1)
    return torch.cat((scores, sinks), dim=-1).softmax(dim=-1)[..., :-1]


def consult(x: Tensor, weights: Experts, config: ModelConfig, kernels: Kernels) -> Tensor:
    """What the experts add to `x` [length, hidden]."""
    x = normalise(x, weights.norm, config.norm_eps)
    chosen, shares = route(TORCH.dense(x, weights.router, weights.router_bias), config.experts_per_token)
    return kernels.mixture(x, chosen, shares, weights, config.swiglu_limit)


def route(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The `most` experts of the highest `scores` [length, experts], and their shares, float32 [length, most].

    On a tie the first expert wins.
    """
    scores, experts = scores.sort(dim=-1, descending=True, stable=True)
    return experts[:, :most], scores[:, :most].float().softmax(dim=-1)
