"""A model's config: the published ones, three spellings, and everything that is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.errors import CheckpointError, HarmonyError
from harmony_py.model import config_json
from harmony_py.model.config import PRESETS, ModelConfig
from tests.tiny_models import TINY

SMALL = PRESETS["gpt-oss-20b"]
LARGE = PRESETS["gpt-oss-120b"]

# As published, but for keys that nobody reads.
ORIGINAL_20B: dict[str, Any] = {
    "num_hidden_layers": 24,
    "num_experts": 32,
    "experts_per_token": 4,
    "vocab_size": 201088,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "swiglu_limit": 7.0,
    "head_dim": 64,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "sliding_window": 128,
    "initial_context_length": 4096,
    "rope_theta": 150000,
    "rope_scaling_factor": 32.0,
    "rope_ntk_alpha": 1,
    "rope_ntk_beta": 32,
}
YARN = {
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "factor": 32.0,
    "original_max_position_embeddings": 4096,
    "rope_type": "yarn",
    "truncate": False,
}
HUGGINGFACE_20B: dict[str, Any] = {
    "architectures": ["GptOssForCausalLM"],
    "attention_bias": True,
    "attention_dropout": 0.0,
    "eos_token_id": 200002,
    "experts_per_token": 4,
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": 2880,
    "initial_context_length": 4096,
    "intermediate_size": 2880,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
    "max_position_embeddings": 131072,
    "model_type": "gpt_oss",
    "num_attention_heads": 64,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 24,
    "num_key_value_heads": 8,
    "num_local_experts": 32,
    "quantization_config": {"modules_to_not_convert": ["lm_head"], "quant_method": "mxfp4"},
    "rms_norm_eps": 1e-05,
    "rope_scaling": YARN,
    "rope_theta": 150000,
    "sliding_window": 128,
    "swiglu_limit": 7.0,
    "tie_word_embeddings": False,
    "vocab_size": 201088,
}
SINCE_5 = {
    key: value for key, value in HUGGINGFACE_20B.items() if key not in ("rope_scaling", "rope_theta")
} | {
    "rope_parameters": {**YARN, "rope_theta": 150000},
    "dtype": "bfloat16",
}
SPELLINGS = {"original": ORIGINAL_20B, "huggingface": HUGGINGFACE_20B, "since transformers 5": SINCE_5}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_published_config_is_the_preset(spelling: str) -> None:
    assert config_json.read(SPELLINGS[spelling]) == SMALL


def test_bytes_are_those_of_the_published_checkpoints() -> None:
    assert SMALL.weight_bytes == 13_761_264_768
    assert LARGE.weight_bytes == 65_248_815_744


def test_bytes_of_a_cache() -> None:
    # Twelve layers grow by two KiB a token, twelve keep 128 tokens.
    assert SMALL.cache_bytes(0) == 0
    assert SMALL.cache_bytes(100) == 24 * 2048 * 100
    assert SMALL.cache_bytes(131_072) == 12 * 2048 * (131_072 + 128) == 3_224_371_200
    assert LARGE.cache_bytes(8192, itemsize=4) == 2 * 18 * 2048 * (8192 + 128)
    assert SMALL.total_bytes(8192) == SMALL.weight_bytes + SMALL.cache_bytes(8192)


def test_every_other_layer_slides() -> None:
    assert [SMALL.window(layer) for layer in range(4)] == [128, None, 128, None]
    assert SMALL.max_context == 131_072


def test_presets_go_by_name() -> None:
    assert ModelConfig.preset("gpt-oss-120b") is LARGE
    with pytest.raises(CheckpointError, match=r"no preset 'gpt-oss-7b'.*gpt-oss-20b, gpt-oss-120b"):
        ModelConfig.preset("gpt-oss-7b")


ODD = replace(
    TINY,
    swiglu_limit=5.5,
    rope_theta=10_000.0,
    rope_factor=4.0,
    rope_slow=2.0,
    rope_fast=16.0,
    experts_per_token=2,
)


@pytest.mark.parametrize("config", [SMALL, LARGE, TINY, ODD])
def test_written_and_read_again_it_is_the_same(config: ModelConfig) -> None:
    for values in (
        config_json.original(config),
        config_json.huggingface(config, packed=True),
        config_json.huggingface(config, packed=False),
    ):
        assert config_json.read(json.loads(json.dumps(values))) == config


def test_only_one_spelling_can_say_another_epsilon() -> None:
    config = replace(TINY, norm_eps=1e-6)
    assert config_json.read(config_json.huggingface(config, packed=True)) == config
    with pytest.raises(CheckpointError, match="norm_eps"):
        config_json.original(config)


@pytest.mark.parametrize("key", ORIGINAL_20B)
def test_the_original_spelling_needs_every_key(key: str) -> None:
    values = {name: value for name, value in ORIGINAL_20B.items() if name != key}
    with pytest.raises(CheckpointError, match=f"config: {key} is missing"):
        config_json.read(values)


def test_the_original_spelling_has_no_other_key() -> None:
    with pytest.raises(
        CheckpointError, match="unknown key 'num_layers'; expected experts_per_token, head_dim"
    ):
        config_json.read({**ORIGINAL_20B, "num_layers": 24})


REFUSED = {
    "model_type": "llama",
    "hidden_act": "gelu",
    "attention_bias": False,
    "tie_word_embeddings": True,
    "swiglu_alpha": 1.5,
    "layer_types": ["full_attention"] * 24,
    "experts_per_token": 2,
    "quantization_config": {"quant_method": "bitsandbytes"},
    "rope_scaling": {**YARN, "truncate": True},
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_changes_the_maths_is_refused_by_name(key: str) -> None:
    with pytest.raises(CheckpointError, match=f"config: {key}.*: expected .*, found "):
        config_json.read({**HUGGINGFACE_20B, key: REFUSED[key]})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rope_type": "llama3"}, r"rope_parameters\.rope_type: expected 'yarn', found 'llama3'"),
        ({"attention_factor": 1.0}, r"rope_parameters\.attention_factor: expected None"),
        ({"partial_rotary_factor": 0.5}, r"rope_parameters\.partial_rotary_factor: expected 1.0"),
        ({"factor": -1.0}, "rope_factor: expected a number between 0 and 1e[+]38, found -1.0"),
    ],
)
def test_other_ways_of_telling_positions_are_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=named):
        config_json.read({**SINCE_5, "rope_parameters": {**SINCE_5["rope_parameters"], **change}})


@pytest.mark.parametrize("key", ["truncate", "rope_type", "factor", "beta_fast"])
def test_what_transformers_would_fill_in_otherwise_must_be_there(key: str) -> None:
    rope = {name: value for name, value in YARN.items() if name != key}
    with pytest.raises(CheckpointError, match="rope_scaling"):
        config_json.read({**HUGGINGFACE_20B, "rope_scaling": rope})


def test_an_older_name_for_the_kind_of_rope() -> None:
    rope = {("type" if name == "rope_type" else name): value for name, value in YARN.items()}
    assert config_json.read({**HUGGINGFACE_20B, "rope_scaling": rope}) == SMALL


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"layers": 0}, "layers: expected a whole number from 1 to 1024, found 0"),
        ({"layers": 10**12}, "layers"),
        ({"hidden": 128.0}, "hidden: expected a whole number"),
        ({"heads": True}, "heads"),
        ({"vocab": "512"}, "vocab"),
        ({"hidden": 100}, "hidden: expected a multiple of 32"),
        ({"intermediate": 33}, "intermediate: expected a multiple of 32"),
        ({"heads": 3}, "heads: expected a multiple of kv_heads"),
        ({"experts_per_token": 9}, "experts_per_token: expected at most experts"),
        ({"head_dim": 63}, "head_dim: expected an even number"),
        ({"original_context": 64}, "a ramp inside the 32 frequencies"),
        ({"rope_theta": 1.0}, "rope_theta: expected more than 1"),
        ({"rope_factor": 0.5}, "rope_factor: expected at least 1"),
        ({"rope_factor": 1e30}, "a context below"),
        ({"rope_slow": 64.0}, "rope_slow"),
        ({"norm_eps": 0}, "norm_eps: expected a number between"),
        ({"norm_eps": float("nan")}, "norm_eps"),
        ({"norm_eps": float("inf")}, "norm_eps"),
        ({"swiglu_limit": None}, "swiglu_limit"),
        ({"swiglu_limit": 10**400}, "swiglu_limit"),
    ],
)
def test_a_config_that_makes_no_sense_cannot_be(change: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=named):
        replace(TINY, **change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(list(SPELLINGS)), st.data())
def test_whatever_a_config_says_it_is_read_or_refused(spelling: str, data: st.DataObject) -> None:
    values = dict(SPELLINGS[spelling])
    for key in data.draw(st.lists(st.sampled_from(sorted(values)), max_size=3)):
        values[key] = data.draw(JSON)
    try:
        assert isinstance(config_json.read(values), ModelConfig)
    except HarmonyError as error:
        assert str(error).startswith("config: ")


@given(JSON)
def test_what_is_no_config_is_refused(values: Any) -> None:
    with pytest.raises(CheckpointError, match="config: "):
        config_json.read(values)
