"""Small models of the genuine architecture, for tests: every part is there, nothing is large."""

from __future__ import annotations

import torch

from harmony_py.model.config import ModelConfig

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

LAYOUTS = ("original", "packed", "dense")


def some_ids(length: int, *, vocab: int = TINY.vocab, seed: int = 0) -> torch.Tensor:
    """A prompt that means nothing."""
    return torch.randint(0, vocab, (length,), generator=torch.Generator().manual_seed(seed))
