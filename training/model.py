"""The model as it is trained: the reference's maths for many conversations at a time, all experts computed.

A test compares it with `harmony_py.model.reference`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harmony_py.model.config import ModelConfig
from harmony_py.model.mxfp4 import quantise, unpack
from harmony_py.model.ops import linear, swiglu
from harmony_py.model.reference import hidden, normalise, route, softmax_with_sink
from harmony_py.model.rope import turns
from harmony_py.model.toy_checkpoint.codes import WIDTH
from harmony_py.model.weights import build, pick
from harmony_py.tokenizer.special import N_VOCAB

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from harmony_py.model.rope import Turns
    from harmony_py.model.weights import Attention, Experts, Mxfp4, Weights

CONFIG = ModelConfig(
    layers=3,
    experts=8,
    hidden=WIDTH,
    intermediate=64,
    heads=4,
    kv_heads=2,
    vocab=N_VOCAB,
    sliding_window=32,
)


EXPERT_MATRICES = ("experts.gate_up", "experts.down")
"""What is stored in MXFP4."""


def states(weights: Weights, embedded: Tensor, config: ModelConfig = CONFIG) -> Tensor:
    """What the unembedding is multiplied with, [batch, length, hidden], for embedded tokens of that shape."""
    x = embedded
    turn = turns(config, torch.arange(x.shape[1]))
    for index, layer in enumerate(weights.layers):
        x = x + attend(x, layer.attention, config, turn, config.window(index))
        x = x + consult(x, layer.experts, config)
    return normalise(x, weights.norm, config.norm_eps)


def attend(x: Tensor, weights: Attention, config: ModelConfig, turn: Turns, window: int | None) -> Tensor:
    batch, length, _ = x.shape
    x = normalise(x, weights.norm, config.norm_eps)

    def heads(weight: Tensor, bias: Tensor) -> Tensor:
        return linear(x, weight, bias).view(batch, length, -1, config.head_dim)

    shared = config.heads // config.kv_heads
    query = turn(heads(weights.query, weights.query_bias))
    query = query.view(batch, length, config.kv_heads, shared, config.head_dim)
    key = turn(heads(weights.key, weights.key_bias))
    value = heads(weights.value, weights.value_bias)
    scores = torch.einsum("bqgsd,bkgd->bgsqk", query, key) / config.head_dim**0.5
    scores = scores.flatten(1, 2).masked_fill(hidden(length, window), -torch.inf)
    shares = softmax_with_sink(scores, weights.sinks[:, None, None])
    shares = shares.view(batch, config.kv_heads, shared, length, length)
    mixed = torch.einsum("bgsqk,bkgd->bqgsd", shares, value).flatten(2)
    return linear(mixed, weights.out, weights.out_bias)


def consult(x: Tensor, weights: Experts, config: ModelConfig) -> Tensor:
    shape = x.shape
    x = normalise(x, weights.norm, config.norm_eps).flatten(0, 1)
    chosen, shares = route(linear(x, weights.router, weights.router_bias), config.experts_per_token)
    weight_of = torch.zeros(len(x), config.experts).scatter(1, chosen, shares)
    up, down = weights.gate_up, weights.down
    inner = swiglu(torch.einsum("th,eih->eti", x, up) + weights.gate_up_bias[:, None], config.swiglu_limit)
    outer = torch.einsum("eti,ehi->eth", inner, down) + weights.down_bias[:, None]
    return torch.einsum("eth,te->th", outer, weight_of).view(shape)


def rounded(weights: Weights) -> Weights:
    """The weights as the checkpoint will hold them; gradients pass as if nothing had been rounded."""

    def stored(name: str, tensor: Tensor) -> Tensor:
        with torch.no_grad():
            there = unpack(quantise(tensor)) if name in EXPERT_MATRICES else tensor.bfloat16().float()
        return tensor + (there - tensor).detach()

    return mapped(weights, stored)


def mapped(weights: Weights, change: Callable[[str, Tensor], Tensor | Mxfp4]) -> Weights:
    """Weights made of what `change` makes of each name and tensor."""

    def changed(name: str, layer: int | None) -> Tensor | Mxfp4:
        tensor = pick(weights, name, layer)
        assert isinstance(tensor, torch.Tensor), f"{name} is packed"
        return change(name, tensor)

    return build(len(weights.layers), changed)


def trained(weights: Weights) -> list[Tensor]:
    """All there is but the embedding and the unembedding."""
    found: list[Tensor] = []

    def note(name: str, tensor: Tensor) -> Tensor:
        if name not in ("embedding", "unembedding"):
            found.append(tensor)
        return tensor

    mapped(weights, note)
    return found
