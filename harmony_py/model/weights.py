"""A model's weights as small tuples of tensors: what a checkpoint gives and every forward pass takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from harmony_py.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from harmony_py.model.config import ModelConfig


class Mxfp4(NamedTuple):
    """A matrix in MXFP4, as it lies in the file: 32 numbers of a row share a scale."""

    blocks: Tensor
    """uint8 [..., rows, columns / 32, 16]: two numbers a byte, the first one low."""
    scales: Tensor
    """uint8 [..., rows, columns / 32]: powers of two, 127 for one."""


class Int8(NamedTuple):
    """A matrix in eight bits: 32 numbers of a row share a scale. No file holds one; `int8` makes them."""

    numbers: Tensor
    """int8 [rows, columns]"""
    scales: Tensor
    """bfloat16 [rows, columns / 32]"""


def unquantised(matrix: Tensor | Int8) -> Tensor:
    """`matrix` itself; raises `CheckpointError` for one in eight bits."""
    if isinstance(matrix, Int8):
        raise CheckpointError(
            "expected matrices as they are stored, found one in eight bits; load them without dense='int8'"
        )
    return matrix


class Attention(NamedTuple):
    norm: Tensor
    """[hidden]"""
    query: Tensor | Int8
    """[heads * head_dim, hidden]"""
    query_bias: Tensor
    key: Tensor | Int8
    """[kv_heads * head_dim, hidden]"""
    key_bias: Tensor
    value: Tensor | Int8
    value_bias: Tensor
    out: Tensor | Int8
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
    unembedding: Tensor | Int8
    """[vocab, hidden]"""


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor in the tuples by its name: `"norm"`; a layer's `"attention.query"`."""
    hidden, experts, inner = config.hidden, config.experts, config.intermediate
    projections = {
        f"attention.{name}": (rows, hidden)
        for name, rows in (("query", config.query_rows), ("key", config.kv_rows), ("value", config.kv_rows))
    }
    return {
        "embedding": (config.vocab, hidden),
        "attention.norm": (hidden,),
        **projections,
        **{f"{name}_bias": shape[:1] for name, shape in projections.items()},
        "attention.out": (hidden, config.query_rows),
        "attention.out_bias": (hidden,),
        "attention.sinks": (config.heads,),
        "experts.norm": (hidden,),
        "experts.router": (experts, hidden),
        "experts.router_bias": (experts,),
        "experts.gate_up": (experts, 2 * inner, hidden),
        "experts.gate_up_bias": (experts, 2 * inner),
        "experts.down": (experts, hidden, inner),
        "experts.down_bias": (experts, hidden),
        "norm": (hidden,),
        "unembedding": (config.vocab, hidden),
    }


def build(layers: int, get: Callable[[str, int | None], Any]) -> Weights:
    """The tuples, filled with what `get` gives for each name and layer."""

    def layer(index: int) -> Layer:
        return Layer(
            Attention(*(get(f"attention.{name}", index) for name in Attention._fields)),
            Experts(*(get(f"experts.{name}", index) for name in Experts._fields)),
        )

    return Weights(
        embedding=get("embedding", None),
        layers=tuple(layer(index) for index in range(layers)),
        norm=get("norm", None),
        unembedding=get("unembedding", None),
    )


def pick(weights: Weights, name: str, layer: int | None) -> Tensor | Mxfp4 | Int8:
    """What `build` asked for under `name`."""
    if layer is None:
        return getattr(weights, name)  # type: ignore[no-any-return]
    part, _, field = name.partition(".")
    return getattr(getattr(weights.layers[layer], part), field)  # type: ignore[no-any-return]
