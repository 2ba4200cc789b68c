"""`to_gguf`: a checkpoint of this architecture as the one file that llama.cpp loads.

What is MXFP4 stays MXFP4, bit for bit in another order; what is bfloat16 stays so where llama.cpp multiplies
with it, and becomes float32 where it only takes float32. The vocabulary is the embedded one. A tensor at a
time is in memory.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from harmony_py.engines.merges import merges, printable
from harmony_py.errors import CheckpointError
from harmony_py.model import checkpoint
from harmony_py.model.weights import Mxfp4, unquantised
from harmony_py.tokenizer import vocab
from harmony_py.tokenizer.special import ENCODABLE, END_OF_TEXT, N_VOCAB, RETURN, START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike
    from typing import BinaryIO

    from torch import Tensor

    from harmony_py.model.config import ModelConfig
    from harmony_py.model.weights import Int8, Layer, Weights

ARCHITECTURE: Final = "gpt-oss"

_MAGIC: Final = b"GGUF"
_VERSION: Final = 3
_ALIGNMENT: Final = 32
_NORMAL, _CONTROL = 1, 3
"""Kinds of tokens."""

_FIXED: Final = {"swiglu_limit": 7.0}
"""What llama.cpp has written into its code."""


def to_gguf(checkpoint_path: str | PathLike[str], path: str | PathLike[str]) -> None:
    """Write the checkpoint in the directory `checkpoint_path`, in any layout but the dense one, to `path`.

    `CheckpointError` where the checkpoint is not right, or is not what llama.cpp takes for its `gpt-oss`.
    """
    opened = checkpoint.open(checkpoint_path)
    _require_known(opened.config)
    entries = _GENERAL | _named(ARCHITECTURE, _hyperparameters(opened.config)) | _vocabulary()
    tensors = list(_tensors(opened.weights()))
    with open(path, "xb") as file:
        _write(file, entries, tensors)


def vocabulary_to_gguf(path: str | PathLike[str]) -> None:
    """Write the vocabulary alone to `path`: enough for llama.cpp to tokenise, and to try grammars."""
    with open(path, "xb") as file:
        _write(file, _GENERAL | _vocabulary(), [])


def _require_known(config: ModelConfig) -> None:
    for name, value in (*_FIXED.items(), ("vocab", N_VOCAB)):
        found = getattr(config, name)
        if found != value:
            raise CheckpointError(f"{name}: llama.cpp takes {value} for its {ARCHITECTURE}, found {found}")


# -- what the file says of the model -------------------------------------------------------------------------


_GENERAL: Final[dict[str, Any]] = {"general.architecture": ARCHITECTURE, "general.alignment": _ALIGNMENT}


def _named(prefix: str, entries: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in entries.items()}


def _hyperparameters(config: ModelConfig) -> dict[str, Any]:
    return {
        "block_count": config.layers,
        "context_length": config.max_context,
        "embedding_length": config.hidden,
        "feed_forward_length": config.intermediate,
        "expert_feed_forward_length": config.intermediate,
        "expert_count": config.experts,
        "expert_used_count": config.experts_per_token,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon": config.norm_eps,
        "attention.sliding_window": config.sliding_window,
        "rope.dimension_count": config.head_dim,
        "rope.freq_base": config.rope_theta,
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": config.rope_factor,
        "rope.scaling.original_context_length": config.original_context,
        "rope.scaling.yarn_beta_fast": config.rope_fast,
        "rope.scaling.yarn_beta_slow": config.rope_slow,
    }


def _vocabulary() -> dict[str, Any]:
    tokens = vocab.tokens()
    names = printable(tokens)
    controls = {token: name for name, token in ENCODABLE.items()}
    count = N_VOCAB - len(tokens)
    return _named(
        "tokenizer.ggml",
        {
            "model": "gpt2",
            "pre": "gpt-4o",
            "tokens": [*names, *(controls[token] for token in range(len(tokens), N_VOCAB))],
            "token_type": [_NORMAL] * len(tokens) + [_CONTROL] * count,
            "merges": [f"{left} {right}" for left, right in merges(tokens, names)],
            "bos_token_id": START_OF_TEXT,
            "eos_token_id": RETURN,
            "padding_token_id": END_OF_TEXT,
            "add_bos_token": False,
        },
    )


# -- the tensors ---------------------------------------------------------------------------------------------


class _Kind(NamedTuple):
    """How the numbers of a tensor lie in the file."""

    id: int
    bytes: Callable[[Any], Tensor]


def _mxfp4(matrix: Mxfp4) -> Tensor:
    """A scale and its sixteen bytes side by side; the first half of the numbers low, the second high."""
    low, high = matrix.blocks & 15, matrix.blocks >> 4
    numbers = torch.stack([low, high], dim=-1).flatten(-2)
    first, second = numbers.chunk(2, dim=-1)
    return torch.cat([matrix.scales.unsqueeze(-1), first | second << 4], dim=-1)


_F32: Final = _Kind(0, lambda tensor: tensor.float().contiguous().view(torch.uint8))
_BF16: Final = _Kind(30, lambda tensor: tensor.bfloat16().contiguous().view(torch.uint8))
_MXFP4: Final = _Kind(39, _mxfp4)


class _Tensor(NamedTuple):
    name: str
    shape: tuple[int, ...]
    kind: _Kind
    values: Callable[[], Tensor | Mxfp4]

    @property
    def size(self) -> int:
        """Bytes in the file."""
        count = 1
        for length in self.shape:
            count *= length
        return {_F32.id: count * 4, _BF16.id: count * 2, _MXFP4.id: count // 32 * 17}[self.kind.id]


def _plain(name: str, kind: _Kind, matrix: Tensor | Int8) -> _Tensor:
    tensor = unquantised(matrix)
    return _Tensor(name, tuple(tensor.shape), kind, lambda: tensor)


def _tensors(weights: Weights) -> Iterator[_Tensor]:
    yield _plain("token_embd.weight", _BF16, weights.embedding)
    for index, layer in enumerate(weights.layers):
        yield from _layer(f"blk.{index}", layer)
    yield _plain("output_norm.weight", _F32, weights.norm)
    yield _plain("output.weight", _BF16, weights.unembedding)


def _layer(prefix: str, layer: Layer) -> Iterator[_Tensor]:
    attention, experts = layer
    yield _plain(f"{prefix}.attn_norm.weight", _F32, attention.norm)
    for name, weight, bias in (
        ("attn_q", attention.query, attention.query_bias),
        ("attn_k", attention.key, attention.key_bias),
        ("attn_v", attention.value, attention.value_bias),
        ("attn_output", attention.out, attention.out_bias),
    ):
        yield _plain(f"{prefix}.{name}.weight", _BF16, weight)
        yield _plain(f"{prefix}.{name}.bias", _F32, bias)
    yield _plain(f"{prefix}.attn_sinks.weight", _F32, attention.sinks)
    yield _plain(f"{prefix}.post_attention_norm.weight", _F32, experts.norm)
    yield _plain(f"{prefix}.ffn_gate_inp.weight", _F32, experts.router)
    yield _plain(f"{prefix}.ffn_gate_inp.bias", _F32, experts.router_bias)
    for name, matrix, bias, part in (
        ("ffn_gate_exps", experts.gate_up, experts.gate_up_bias, slice(0, None, 2)),
        ("ffn_up_exps", experts.gate_up, experts.gate_up_bias, slice(1, None, 2)),
        ("ffn_down_exps", experts.down, experts.down_bias, slice(None)),
    ):
        yield _matrix(f"{prefix}.{name}.weight", matrix, part)
        yield _plain(f"{prefix}.{name}.bias", _F32, bias[:, part])


def _matrix(name: str, matrix: Mxfp4 | Tensor, rows: slice) -> _Tensor:
    """Some rows of every expert's matrix."""
    if not isinstance(matrix, Mxfp4):
        raise CheckpointError(f"{name}: expected MXFP4; quantise the checkpoint first")
    some = Mxfp4(matrix.blocks[:, rows], matrix.scales[:, rows])
    experts, count, groups = some.scales.shape
    return _Tensor(name, (experts, count, groups * 32), _MXFP4, lambda: some)


# -- the file ------------------------------------------------------------------------------------------------


def _write(file: BinaryIO, entries: dict[str, Any], tensors: list[_Tensor]) -> None:
    file.write(_MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(entries)))
    for key, value in entries.items():
        file.write(_text(key) + _typed(value))
    offset = 0
    for tensor in tensors:
        turned = tensor.shape[::-1]  # the fastest dimension first
        sizes = struct.pack(f"<I{len(turned)}Q", len(turned), *turned)
        file.write(_text(tensor.name) + sizes + struct.pack("<IQ", tensor.kind.id, offset))
        offset += _aligned(tensor.size)
    file.write(bytes(-file.tell() % _ALIGNMENT))
    for tensor in tensors:
        packed = tensor.kind.bytes(tensor.values()).flatten()
        file.write(packed.numpy().tobytes())
        file.write(bytes(_aligned(tensor.size) - tensor.size))


def _aligned(size: int) -> int:
    return size + -size % _ALIGNMENT


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9


def _typed(value: Any) -> bytes:
    """A value with its type before it."""
    match value:
        case bool():
            return struct.pack("<I?", _BOOL, value)
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case str():
            return struct.pack("<I", _STRING) + _text(value)
        case [str(), *_]:
            return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + b"".join(map(_text, value))
        case _:
            return struct.pack(f"<IIQ{len(value)}i", _ARRAY, _INT32, len(value), *value)
