"""The model as it is trained: the reference's maths for many conversations at a time, all experts computed.

A test compares it with `harmony_py.model.reference`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harmony_py.model import mxfp4
from harmony_py.model.config import ModelConfig
from harmony_py.model.ops import linear, swiglu
from harmony_py.model.reference import hidden, normalise, route, softmax_with_sink
from harmony_py.model.rope import turns
from harmony_py.model.toy_checkpoint.codes import WIDTH
from harmony_py.model.weights import Weights, build, pick
from harmony_py.tokenizer.special import N_VOCAB

if TYPE_CHECKING:
    from torch import Tensor

    from harmony_py.model.rope import Turns
    from harmony_py.model.weights import Attention, Experts

CONFIG = ModelConfig(
    layers=4,
    experts=8,
    hidden=WIDTH,
    intermediate=64,
    heads=4,
    kv_heads=2,
    vocab=N_VOCAB,
    sliding_window=32,
)


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

    query = turn(heads(weights.query, weights.query_bias)).unflatten(2, (config.kv_heads, -1))
    key = turn(heads(weights.key, weights.key_bias))
    value = heads(weights.value, weights.value_bias)
    scores = torch.einsum("bqgsd,bkgd->bgsqk", query, key) / config.head_dim**0.5
    scores = scores.flatten(1, 2).masked_fill(hidden(length, window), -torch.inf)
    shares = softmax_with_sink(scores, weights.sinks[:, None, None]).unflatten(1, (config.kv_heads, -1))
    mixed = torch.einsum("bgsqk,bkgd->bqgsd", shares, value).flatten(2)
    return linear(mixed, weights.out, weights.out_bias)


def consult(x: Tensor, weights: Experts, config: ModelConfig) -> Tensor:
    shape = x.shape
    x = normalise(x, weights.norm, config.norm_eps).flatten(0, 1)
    chosen, shares = route(x, weights, config)
    weight_of = torch.zeros(len(x), config.experts).scatter(1, chosen, shares)
    up, down = weights.gate_up, weights.down
    inner = swiglu(torch.einsum("th,eih->eti", x, up) + weights.gate_up_bias[:, None], config.swiglu_limit)
    outer = torch.einsum("eti,ehi->eth", inner, down) + weights.down_bias[:, None]
    return torch.einsum("eth,te->th", outer, weight_of).view(shape)


def rounded(weights: Weights) -> Weights:
    """The weights as the checkpoint will hold them; gradients pass through as if nothing were rounded."""

    def round_one(name: str, tensor: Tensor) -> Tensor:
        with torch.no_grad():
            if name in ("experts.gate_up", "experts.down"):
                there = mxfp4.unpack(mxfp4.quantise(tensor))
            else:
                there = tensor.bfloat16().float()
        return tensor + (there - tensor).detach()

    return mapped(weights, round_one)


def mapped(weights: Weights, change) -> Weights:  # type: ignore[no-untyped-def]
    return build(len(weights.layers), lambda name, layer: change(name, pick(weights, name, layer)))
