"""How a checkpoint names and stores the weights: three layouts, all of which can be used without a copy.

- `original`: OpenAI's. Query, key and value are one tensor; the experts' matrices are in MXFP4.
- `packed`: Hugging Face's, the same bytes under other names, and query, key and value apart.
- `dense`: Hugging Face's after unpacking. The experts' matrices are ordinary tensors, columns first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from harmony_py.errors import CheckpointError
from harmony_py.model.config import GROUP
from harmony_py.model.mxfp4 import unpack
from harmony_py.model.weights import Mxfp4, build, shapes, unquantised

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from harmony_py.model.config import ModelConfig
    from harmony_py.model.weights import Int8, Weights

_QKV: Final = ("attention.query", "attention.key", "attention.value")
QUANTISED: Final = ("unembedding", "attention.qkv", "attention.out", *_QKV)
"""What `int8.quantised` makes small, in any layout."""

_MATRICES: Final = ("experts.gate_up", "experts.down")


class Entry(NamedTuple):
    """One tensor of a checkpoint."""

    name: str
    """What the file calls it."""
    field: str
    """What it is: a name from `weights.shapes`, or one made from those by `_stored_shapes`."""
    layer: int | None
    shape: tuple[int, ...]
    packed: bool
    """Whether it is bytes of MXFP4; any other is made of numbers."""


class Layout(NamedTuple):
    name: str
    names: dict[str, str]
    """By field, in the order of the file; `{}` stands for the layer."""

    def entries(self, config: ModelConfig) -> list[Entry]:
        """Every tensor that a checkpoint of `config` holds, in the order that they are written in."""
        stored = _stored_shapes(config)

        def entry(field: str, layer: int | None) -> Entry:
            packed = field.endswith((".blocks", ".scales"))
            return Entry(self.names[field].format(layer), field, layer, stored[field], packed)

        whole = [field for field in self.names if "." not in field]
        layered = [field for field in self.names if "." in field]
        return [
            entry(whole[0], None),
            *(entry(field, layer) for layer in range(config.layers) for field in layered),
            *(entry(field, None) for field in whole[1:]),
        ]

    def build(self, config: ModelConfig, read: Callable[[str], Tensor]) -> Weights:
        """The weights out of the stored tensors, which `read` gives by their names. Only views are made.

        `read` is asked for a tensor as often as something of it is needed.
        """
        rows = [config.query_rows, config.kv_rows, config.kv_rows]

        def get(field: str, layer: int | None) -> Tensor | Mxfp4:
            def one(field: str) -> Tensor:
                return read(self.names[field].format(layer))

            if field in self.names:
                return one(field)
            if f"{field}.blocks" in self.names:
                return Mxfp4(one(f"{field}.blocks"), one(f"{field}.scales"))
            if f"{field}.turned" in self.names:
                return one(f"{field}.turned").transpose(1, 2)
            bias = "_bias" if field.endswith("_bias") else ""
            part = _QKV.index(field.removesuffix("_bias"))
            return torch.split(one(f"attention.qkv{bias}"), rows)[part]

        return build(config.layers, get)


def stored(entry: Entry, get: Callable[[str, int | None], Tensor | Mxfp4 | Int8]) -> Tensor:
    """What a file holds as `entry`, out of the weights, which `get` gives as to `weights.build`."""
    field, _, form = entry.field.rpartition(".")
    if field in _MATRICES:
        matrix = get(field, entry.layer)
        if form == "turned":
            dense = unpack(matrix, torch.bfloat16) if isinstance(matrix, Mxfp4) else _plain(matrix)
            return dense.transpose(1, 2)
        if not isinstance(matrix, Mxfp4):
            raise CheckpointError(f"layer {entry.layer}, {field}: expected MXFP4; quantise it first")
        return matrix.blocks if form == "blocks" else matrix.scales
    if "qkv" in form:
        bias = form.removeprefix("qkv")
        return torch.cat([_plain(get(f"{field}{bias}", entry.layer)) for field in _QKV])
    return _plain(get(entry.field, entry.layer))


def _plain(tensor: Tensor | Mxfp4 | Int8) -> Tensor:
    assert not isinstance(tensor, Mxfp4), "only the experts' matrices are packed"
    return unquantised(tensor)


def _stored_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Of every field that any layout stores: those of the weights, and what some layouts store instead."""
    every = shapes(config)
    rows = config.query_rows + 2 * config.kv_rows
    every |= {"attention.qkv": (rows, config.hidden), "attention.qkv_bias": (rows,)}
    for field in _MATRICES:
        experts, rows, columns = every[field]
        groups = columns // GROUP
        every |= {
            f"{field}.blocks": (experts, rows, groups, GROUP // 2),
            f"{field}.scales": (experts, rows, groups),
            f"{field}.turned": (experts, columns, rows),
        }
    return every


def _prefixed(prefix: str, names: dict[str, str]) -> dict[str, str]:
    return {field: prefix + name for field, name in names.items()}


ORIGINAL: Final = Layout(
    "original",
    {
        "embedding": "embedding.weight",
        "norm": "norm.scale",
        "unembedding": "unembedding.weight",
        **_prefixed(
            "block.{}.",
            {
                "attention.norm": "attn.norm.scale",
                "attention.qkv": "attn.qkv.weight",
                "attention.qkv_bias": "attn.qkv.bias",
                "attention.sinks": "attn.sinks",
                "attention.out": "attn.out.weight",
                "attention.out_bias": "attn.out.bias",
                "experts.norm": "mlp.norm.scale",
                "experts.router": "mlp.gate.weight",
                "experts.router_bias": "mlp.gate.bias",
                "experts.gate_up.blocks": "mlp.mlp1_weight.blocks",
                "experts.gate_up.scales": "mlp.mlp1_weight.scales",
                "experts.gate_up_bias": "mlp.mlp1_bias",
                "experts.down.blocks": "mlp.mlp2_weight.blocks",
                "experts.down.scales": "mlp.mlp2_weight.scales",
                "experts.down_bias": "mlp.mlp2_bias",
            },
        ),
    },
)

_HUGGINGFACE: Final = {
    "embedding": "model.embed_tokens.weight",
    "norm": "model.norm.weight",
    "unembedding": "lm_head.weight",
    **_prefixed(
        "model.layers.{}.",
        {
            "attention.norm": "input_layernorm.weight",
            "attention.query": "self_attn.q_proj.weight",
            "attention.query_bias": "self_attn.q_proj.bias",
            "attention.key": "self_attn.k_proj.weight",
            "attention.key_bias": "self_attn.k_proj.bias",
            "attention.value": "self_attn.v_proj.weight",
            "attention.value_bias": "self_attn.v_proj.bias",
            "attention.sinks": "self_attn.sinks",
            "attention.out": "self_attn.o_proj.weight",
            "attention.out_bias": "self_attn.o_proj.bias",
            "experts.norm": "post_attention_layernorm.weight",
            "experts.router": "mlp.router.weight",
            "experts.router_bias": "mlp.router.bias",
            "experts.gate_up_bias": "mlp.experts.gate_up_proj_bias",
            "experts.down_bias": "mlp.experts.down_proj_bias",
        },
    ),
}

PACKED: Final = Layout(
    "packed",
    _HUGGINGFACE
    | _prefixed(
        "model.layers.{}.mlp.experts.",
        {
            "experts.gate_up.blocks": "gate_up_proj_blocks",
            "experts.gate_up.scales": "gate_up_proj_scales",
            "experts.down.blocks": "down_proj_blocks",
            "experts.down.scales": "down_proj_scales",
        },
    ),
)

DENSE: Final = Layout(
    "dense",
    _HUGGINGFACE
    | _prefixed(
        "model.layers.{}.mlp.experts.",
        {"experts.gate_up.turned": "gate_up_proj", "experts.down.turned": "down_proj"},
    ),
)

LAYOUTS: Final = {layout.name: layout for layout in (ORIGINAL, PACKED, DENSE)}
