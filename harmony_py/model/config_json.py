"""`config.json` in its three spellings: the original, and Hugging Face's before and since transformers 5.

The original spelling has sixteen keys, and all of them count: an unknown one is an error. Hugging Face's has
many more. Those that say something that these models do not do are errors too; the rest does not change the
maths.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from harmony_py.errors import CheckpointError
from harmony_py.model.config import SWIGLU_ALPHA, ModelConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMON: Final = {
    "num_hidden_layers": "layers",
    "experts_per_token": "experts_per_token",
    "vocab_size": "vocab",
    "hidden_size": "hidden",
    "intermediate_size": "intermediate",
    "swiglu_limit": "swiglu_limit",
    "head_dim": "head_dim",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "sliding_window": "sliding_window",
}

_ORIGINAL: Final = {
    **_COMMON,
    "num_experts": "experts",
    "initial_context_length": "original_context",
    "rope_theta": "rope_theta",
    "rope_scaling_factor": "rope_factor",
    "rope_ntk_alpha": "rope_slow",
    "rope_ntk_beta": "rope_fast",
}
"""Every key of the original spelling, and our name for it."""

_ORIGINAL_NORM_EPS: Final = 1e-5
"""The original spelling has no key for it."""

_HUGGINGFACE: Final = {
    **_COMMON,
    "num_local_experts": "experts",
    "num_experts_per_tok": "experts_per_token",
    "rms_norm_eps": "norm_eps",
}
"""The keys of Hugging Face's spelling that are numbers of ours."""

_OPTIONAL: Final = {"experts_per_token", "num_experts_per_tok", "swiglu_limit", "rms_norm_eps"}
"""Those that transformers fills in, with the values that we have as defaults."""

_ROPE: Final = {
    "factor": "rope_factor",
    "beta_slow": "rope_slow",
    "beta_fast": "rope_fast",
    "original_max_position_embeddings": "original_context",
}

_SAME: Final[dict[str, Any]] = {
    "model_type": "gpt_oss",
    "hidden_act": "silu",
    "attention_bias": True,
    "tie_word_embeddings": False,
}
"""What Hugging Face's spelling can say otherwise, and no model of this architecture does."""

_QUANTIZATION: Final = {
    "quant_method": "mxfp4",
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ],
}
"""What is in MXFP4: everything else is not."""

_SAME_ROPE: Final[dict[str, Any]] = {
    "truncate": False,
    "partial_rotary_factor": 1.0,
    "attention_factor": None,
    "mscale": None,
    "mscale_all_dim": None,
}


def read(values: object) -> ModelConfig:
    """The config in a parsed `config.json`, whichever its spelling.

    Raises `CheckpointError` that names the key which is missing, unknown, or out of the ordinary.
    """
    values = _object(values, "the whole")
    huggingface = {"model_type", "architectures", "num_local_experts"} & values.keys()
    return _read_huggingface(values) if huggingface else _read_original(values)


def original(config: ModelConfig) -> dict[str, Any]:
    """The original spelling of `config`."""
    if config.norm_eps != _ORIGINAL_NORM_EPS:
        raise CheckpointError(f"config: norm_eps is {config.norm_eps}: the original spelling cannot say so")
    ours = asdict(config)
    return {key: ours[name] for key, name in _ORIGINAL.items()}


def huggingface(config: ModelConfig, *, packed: bool) -> dict[str, Any]:
    """Hugging Face's spelling of `config`, the older one, which every version of transformers reads."""
    ours = asdict(config)
    return {
        "architectures": ["GptOssForCausalLM"],
        **_SAME,
        **{key: ours[name] for key, name in _HUGGINGFACE.items()},
        "layer_types": config.layer_types(),
        "initial_context_length": config.original_context,
        "max_position_embeddings": config.max_context,
        "rope_theta": config.rope_theta,
        "rope_scaling": {
            "rope_type": "yarn",
            "truncate": False,
            **{key: ours[name] for key, name in _ROPE.items()},
        },
        **({"quantization_config": _QUANTIZATION} if packed else {}),
    }


def _read_original(values: dict[str, Any]) -> ModelConfig:
    unknown = sorted(values.keys() - _ORIGINAL.keys())
    if unknown:
        raise CheckpointError(f"config: unknown key {unknown[0]!r}; expected {', '.join(sorted(_ORIGINAL))}")
    ours = {name: _get(values, key) for key, name in _ORIGINAL.items()}
    return ModelConfig(**ours, norm_eps=_ORIGINAL_NORM_EPS)


def _read_huggingface(values: dict[str, Any]) -> ModelConfig:
    _expect(values, {**_SAME, "swiglu_alpha": SWIGLU_ALPHA})
    if values.get("quantization_config") is not None:
        quantization = _object(values["quantization_config"], "quantization_config")
        _expect(quantization, {"quant_method": "mxfp4"}, "quantization_config.")
    ours = {
        name: _get(values, key) for key, name in _HUGGINGFACE.items() if key in values or key not in _OPTIONAL
    }
    config = ModelConfig(**ours, **_read_rope(values))
    _expect(values, {"experts_per_token": config.experts_per_token, "layer_types": config.layer_types()})
    return config


def _read_rope(values: Mapping[str, Any]) -> dict[str, Any]:
    """What says how positions turn: one object since transformers 5, before that an object and a number."""
    where = "rope_scaling" if values.get("rope_parameters") is None else "rope_parameters"
    rope = _object(_get(values, where), where)
    kind = "rope_type" if "rope_type" in rope else "type"
    # Left out, the kind would not be YaRN, and `truncate` would be true.
    _expect({kind: None, "truncate": True, **rope}, {kind: "yarn", **_SAME_ROPE}, f"{where}.")
    ours = {name: _get(rope, key, f"{where}.") for key, name in _ROPE.items()}
    return {**ours, "rope_theta": _get({**values, **rope}, "rope_theta")}


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CheckpointError(f"config: {what}: expected an object, found {value!r}")
    return value


def _get(values: Mapping[str, Any], key: str, where: str = "") -> Any:
    if key not in values:
        raise CheckpointError(f"config: {where}{key} is missing")
    return values[key]


def _expect(values: Mapping[str, Any], wanted: Mapping[str, Any], where: str = "") -> None:
    """Every key of `wanted` that is there says what is wanted."""
    for key, value in wanted.items():
        if key in values and values[key] != value:
            raise CheckpointError(f"config: {where}{key}: expected {value!r}, found {values[key]!r}")
