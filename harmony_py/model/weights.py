"""A model's weights as small tuples of tensors: what a checkpoint gives and every forward pass takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Mxfp4(NamedTuple):
    """A matrix in MXFP4, as it lies in the file: 32 numbers of a row share a scale."""

    blocks: Tensor
    """uint8 [..., rows, columns / 32, 16]: two numbers a byte, the first one low."""
    scales: Tensor
    """uint8 [..., rows, columns / 32]: powers of two, 127 for one."""


class Attention(NamedTuple):
    norm: Tensor
    """[hidden]"""
    query: Tensor
    """[heads * head_dim, hidden]"""
    query_bias: Tensor
    key: Tensor
    """[kv_heads * head_dim, hidden]"""
    key_bias: Tensor
    value: Tensor
    value_bias: Tensor
    out: Tensor
    """[hidden, heads * head_dim]"""
    out_bias: Tensor
    sinks: Tensor
    """[heads]: a score that takes part in each softmax and has no value."""


class Experts(NamedTuple):
    norm: Tensor
    """[hidden]"""
    router: Tensor
    """[experts, hidden]"""
    router_bias: Tensor
    gate_up: Mxfp4 | Tensor
    """[experts, 2 * intermediate, hidden]: gate and up in turn; a tensor where the checkpoint is dense."""
    gate_up_bias: Tensor
    down: Mxfp4 | Tensor
    """[experts, hidden, intermediate]"""
    down_bias: Tensor


class Layer(NamedTuple):
    attention: Attention
    experts: Experts


class Weights(NamedTuple):
    embedding: Tensor
    """[vocab, hidden]"""
    layers: tuple[Layer, ...]
    norm: Tensor
    """[hidden]"""
    unembedding: Tensor
    """[vocab, hidden]"""
