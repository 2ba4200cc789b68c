"""What shape a model has: gpt-oss-20b, gpt-oss-120b, or anything of their architecture."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

from harmony_py.errors import CheckpointError
from harmony_py.tokenizer.special import N_VOCAB

GROUP: Final = 32
"""So many numbers of a row share a scale in MXFP4."""

SWIGLU_ALPHA: Final = 1.702
"""The slope inside the experts' activation. No config changes it."""

# Far above every real model, and low enough that what is computed from a hostile config stays small.
_MOST: Final = {"layers": 1 << 10, "experts": 1 << 16}
_MOST_OF_ANY: Final = 1 << 31
_LARGEST: Final = 1e38


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The numbers that a model is built from. Checked when it is made: a config that exists makes sense."""

    layers: int
    experts: int
    experts_per_token: int = 4
    hidden: int
    intermediate: int
    """Width inside an expert."""
    heads: int
    kv_heads: int
    head_dim: int = 64
    vocab: int
    sliding_window: int = 128
    """How many positions a sliding layer sees, the token's own included."""
    swiglu_limit: float = 7.0
    rope_theta: float = 150_000.0
    rope_factor: float = 32.0
    """How many times the original context YaRN stretches to."""
    rope_slow: float = 1.0
    """A frequency that turns less often than this over the original context is slowed by the whole factor."""
    rope_fast: float = 32.0
    """One that turns more often than this is left alone."""
    original_context: int = 4096
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int":
                _check_count(field.name, value)
            else:
                # JSON writes 7.0 as 7 where it likes.
                object.__setattr__(self, field.name, _checked_number(field.name, value))
        _require(self.experts_per_token <= self.experts, "experts_per_token", "at most experts", self)
        _require(self.heads % self.kv_heads == 0, "heads", "a multiple of kv_heads", self)
        _require(self.head_dim % 2 == 0, "head_dim", "an even number", self)
        _require(self.hidden % GROUP == 0, "hidden", f"a multiple of {GROUP}", self)
        _require(self.intermediate % GROUP == 0, "intermediate", f"a multiple of {GROUP}", self)
        _require(self.rope_theta > 1, "rope_theta", "more than 1", self)
        _require(self.rope_factor >= 1, "rope_factor", "at least 1", self)
        _require(self.max_context < _MOST_OF_ANY, "rope_factor", "a context below 2**31", self)
        low, high = self.rope_ramp
        _require(
            0 < low < high < self.head_dim // 2 - 1,
            "rope_theta, rope_slow, rope_fast, original_context",
            f"a ramp inside the {self.head_dim // 2} frequencies, not from {low:.2f} to {high:.2f}",
            self,
        )

    @property
    def max_context(self) -> int:
        """How many positions the model was made for."""
        return int(self.original_context * self.rope_factor)

    @property
    def query_rows(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_rows(self) -> int:
        return self.kv_heads * self.head_dim

    @property
    def rope_ramp(self) -> tuple[float, float]:
        """The frequencies, by index, from which YaRN slows, and from which it slows by the whole factor."""
        half = self.head_dim // 2

        def index(turns: float) -> float:
            return half * math.log(self.original_context / (turns * 2 * math.pi)) / math.log(self.rope_theta)

        return index(self.rope_fast), index(self.rope_slow)

    def layer_types(self) -> list[str]:
        """Hugging Face's names for which layers slide."""
        return [
            "full_attention" if self.window(layer) is None else "sliding_attention"
            for layer in range(self.layers)
        ]

    def window(self, layer: int) -> int | None:
        """How many positions `layer` sees; None for all. Every other layer slides, the first one does."""
        return self.sliding_window if layer % 2 == 0 else None

    @property
    def expert_bytes(self) -> int:
        """Bytes of one expert's two matrices in MXFP4: half a byte a number, and a scale for each group."""
        numbers = 3 * self.hidden * self.intermediate
        return numbers // 2 + numbers // GROUP

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights: the experts' matrices in MXFP4, everything else in bfloat16."""
        rows = self.query_rows + 2 * self.kv_rows
        attention = self.hidden + rows * (self.hidden + 1) + self.hidden * (self.query_rows + 1) + self.heads
        router = self.hidden + self.experts * (self.hidden + 1)
        biases = self.experts * (2 * self.intermediate + self.hidden)
        layer = 2 * (attention + router + biases) + self.experts * self.expert_bytes
        return self.layers * layer + 2 * (2 * self.vocab * self.hidden + self.hidden)

    def cache_bytes(self, context: int, itemsize: int = 2) -> int:
        """Bytes of the keys and values of `context` positions; sliding layers keep their window alone."""
        windows = [self.window(layer) for layer in range(self.layers)]
        slots = sum(context if window is None else min(window, context) for window in windows)
        return slots * 2 * self.kv_rows * itemsize

    def total_bytes(self, context: int, itemsize: int = 2) -> int:
        """Bytes of the weights and of the cache of one conversation of `context` tokens."""
        return self.weight_bytes + self.cache_bytes(context, itemsize)

    @classmethod
    def preset(cls, name: str) -> ModelConfig:
        """The config of a published model."""
        if name not in PRESETS:
            raise CheckpointError(f"no preset {name!r}; there are: {', '.join(PRESETS)}")
        return PRESETS[name]


def _check_count(name: str, value: Any) -> None:
    most = _MOST.get(name, _MOST_OF_ANY)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise CheckpointError(f"config: {name}: expected a whole number from 1 to {most}, found {value!r}")


def _checked_number(name: str, value: Any) -> float:
    number = not isinstance(value, bool) and isinstance(value, (int, float))
    if not number or not 0 < value < _LARGEST:
        raise CheckpointError(
            f"config: {name}: expected a number between 0 and {_LARGEST:g}, found {value!r}"
        )
    return float(value)


def _require(holds: bool, name: str, expected: str, config: ModelConfig) -> None:
    if not holds:
        raise CheckpointError(f"config: {name}: expected {expected} in {config}")


PRESETS: Final = {
    name: ModelConfig(
        layers=layers, experts=experts, hidden=2880, intermediate=2880, heads=64, kv_heads=8, vocab=N_VOCAB
    )
    for name, layers, experts in (("gpt-oss-20b", 24, 32), ("gpt-oss-120b", 36, 128))
}
"""The published models."""
