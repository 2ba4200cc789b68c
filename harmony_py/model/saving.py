"""Checkpoints written: of weights that are there, or that are drawn by chance."""

from __future__ import annotations

import json
from functools import partial
from itertools import accumulate, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harmony_py.errors import CheckpointError
from harmony_py.model import config_json
from harmony_py.model.layouts import LAYOUTS, ORIGINAL, PACKED, stored
from harmony_py.model.random_weights import random_field
from harmony_py.model.safetensors_file import Piece, write
from harmony_py.model.weights import pick

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from torch import Tensor

    from harmony_py.model.config import ModelConfig
    from harmony_py.model.layouts import Layout
    from harmony_py.model.weights import Int8, Mxfp4, Weights


def save(
    path: str | PathLike[str],
    config: ModelConfig,
    weights: Weights,
    *,
    layout: str = "original",
    shards: int = 1,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Write `weights` into the directory `path`, as one file or as at most `shards` of about the same size.

    `layout` is `"original"` or `"packed"` for experts in MXFP4, and `"dense"` for any: it unpacks them. What
    is not packed is written in `dtype`. A directory that holds a checkpoint already is refused.
    """
    _save(Path(path), config, _known(layout), shards, dtype, partial(pick, weights))


def random_checkpoint(
    path: str | PathLike[str],
    config: ModelConfig,
    *,
    layout: str = "original",
    seed: int = 0,
    shards: int = 1,
) -> None:
    """Write a checkpoint of random weights: the same model for the same seed, whichever the layout.

    One tensor at a time is in memory, so that the published sizes can be written too.
    """
    _save(Path(path), config, _known(layout), shards, torch.bfloat16, partial(random_field, config, seed))


def _known(layout: str) -> Layout:
    if layout not in LAYOUTS:
        raise CheckpointError(f"layout: expected one of {', '.join(LAYOUTS)}, found {layout!r}")
    return LAYOUTS[layout]


def _save(
    path: Path,
    config: ModelConfig,
    layout: Layout,
    shards: int,
    dtype: torch.dtype,
    get: Callable[[str, int | None], Tensor | Mxfp4 | Int8],
) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if any(path.glob("*.safetensors")):
        raise CheckpointError(f"{path}: expected a directory without a checkpoint")
    entries = layout.entries(config)
    pieces = [Piece(entry.name, torch.uint8 if entry.packed else dtype, entry.shape) for entry in entries]
    # Drawn as they are written, over all files in a row.
    tensors = (stored(entry, get).to(piece.dtype) for entry, piece in zip(entries, pieces, strict=True))
    files = _shares(pieces, shards)
    homes: dict[str, str] = {}
    for number, share in enumerate(files, 1):
        name = "model" if len(files) == 1 else f"model-{number:05}-of-{len(files):05}"
        write(path / f"{name}.safetensors", share, tensors)
        homes |= dict.fromkeys((piece.name for piece in share), f"{name}.safetensors")
    if len(files) > 1:
        total = sum(piece.bytes for piece in pieces)
        index = {"metadata": {"total_size": total}, "weight_map": homes}
        (path / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    values = (
        config_json.original(config)
        if layout is ORIGINAL
        else config_json.huggingface(config, packed=layout is PACKED)
    )
    # The last of all: without it there is no checkpoint.
    (path / "config.json").write_text(json.dumps(values, indent=2))


def _shares(pieces: list[Piece], shards: int) -> list[list[Piece]]:
    """`pieces` in order, cut into at most `shards` runs of about the same size."""
    if shards < 1:
        raise CheckpointError(f"shards: expected at least 1, found {shards}")
    before = list(accumulate((piece.bytes for piece in pieces), initial=0))
    cuts = iter(before)
    return [list(share) for _, share in groupby(pieces, lambda _: next(cuts) * shards // before[-1])]
