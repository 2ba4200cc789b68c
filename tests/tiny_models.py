"""Small models of the genuine architecture, for tests: every part is there, nothing is large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from harmony_py.model import random_checkpoint
from harmony_py.model.config import ModelConfig

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import GptOssForCausalLM

# Threads wait longer for each other than there is to do.
torch.set_num_threads(1)

TINY = ModelConfig(
    layers=4,
    experts=8,
    hidden=128,
    intermediate=96,
    heads=4,
    kv_heads=2,
    vocab=512,
    sliding_window=16,
)
"""No two of its sizes are the same, so that none can stand for another unnoticed."""


def in_every_layout(folder: Path) -> Path:
    """`folder`, with the same random checkpoint of `TINY` in each layout, under its name."""
    for layout in LAYOUTS:
        random_checkpoint(folder / layout, TINY, layout=layout, seed=1)
    return folder


def theirs(**more: Any) -> GptOssForCausalLM:
    """A small model of transformers with the whole vocabulary; `more` goes into its config."""
    from transformers import GptOssConfig, GptOssForCausalLM

    torch.manual_seed(7)
    config = GptOssConfig(
        num_hidden_layers=2,
        num_local_experts=4,
        num_experts_per_tok=2,
        hidden_size=32,
        intermediate_size=32,
        head_dim=16,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=16,
        **more,
    )
    return GptOssForCausalLM(config).eval()


UNUSUAL = ModelConfig(
    layers=3,
    experts=5,
    experts_per_token=2,
    hidden=64,
    intermediate=160,
    heads=3,
    kv_heads=1,
    head_dim=96,
    vocab=300,
    sliding_window=5,
    swiglu_limit=0.5,
    rope_theta=10_000.0,
    rope_factor=4.0,
    rope_slow=2.0,
    rope_fast=16.0,
    original_context=1024,
    norm_eps=1e-3,
)
"""Every number is another than the published models have, and the activation's limit is often reached."""

LAYOUTS = ("original", "packed", "dense")


def some_ids(length: int, *, vocab: int = TINY.vocab, seed: int = 0) -> torch.Tensor:
    """A prompt that means nothing."""
    return torch.randint(0, vocab, (length,), generator=torch.Generator().manual_seed(seed))
