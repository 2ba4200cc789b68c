"""`load`: from a directory to a model that answers, or a clear word why not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harmony_py.errors import CheckpointError
from harmony_py.model import Model, Sampling, load, memory
from harmony_py.model.random_weights import random_weights
from tests.tiny_models import LAYOUTS, TINY, in_every_layout, some_ids

if TYPE_CHECKING:
    from pathlib import Path

IDS = some_ids(20).tolist()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_every_layout(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_answers_alike(models: Path, layout: str) -> None:
    held = Model(TINY, random_weights(TINY, seed=1), dtype=torch.float32)
    model = load(models / layout, dtype="float32")
    assert model.config == TINY
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)
    assert torch.allclose(model.logits(IDS), held.logits(IDS), atol=1e-4, rtol=0)
    sampling = Sampling(seed=2, max_tokens=8)
    found = [step.token for step in model.generate(IDS, sampling)]
    assert found == [step.token for step in held.generate(IDS, sampling)]


def test_a_model_computes_in_bfloat16_unless_told(models: Path) -> None:
    model = load(str(models / "original"))
    assert model.dtype is torch.bfloat16
    assert load(models / "original", dtype=torch.float32).dtype is torch.float32
    generation = model.generate(IDS, Sampling(max_tokens=3))
    assert len(list(generation)) == 3
    assert generation.cache.dtype is torch.bfloat16


def test_a_context_may_be_limited(models: Path) -> None:
    model = load(models / "original", max_context=24)
    *_, last = model.generate(IDS, Sampling(stop=[]))
    assert last.finish == "context"
    assert model.new_cache().max_context == 24


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float16"}, "dtype: expected one of auto, bfloat16, float32, found 'float16'"),
        ({"dtype": torch.int8}, "dtype: expected one of"),
        ({"max_context": 0}, "max_context: expected a number of tokens from 1 to 131072, found 0"),
        ({"max_context": 131_073}, "max_context"),
        ({"kernels": "fast"}, "kernels: expected"),
    ],
)
def test_a_wrong_option_is_named(models: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(models / "original", **options)


def test_what_memory_cannot_hold_is_refused_before_it_is_read(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models / "original"
    room = TINY.total_bytes(1000)
    monkeypatch.setattr(memory, "available", lambda device: room)
    assert load(path, max_context=1000).max_context == 1000
    for options in ({"max_context": 1001}, {}, {"max_context": 1000, "dtype": "float32"}):
        with pytest.raises(CheckpointError, match=f"expected .* bytes of memory on cpu, found {room:,}"):
            load(path, **options)


def test_a_scale_that_is_nan_is_found_before_the_first_answer(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "packed", tmp_path / "bad")
    file = tmp_path / "bad" / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.2.mlp.experts.down_proj_scales"].view(-1)[3] = 255
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match=r"model.layers.2.*down_proj_scales', scale 3: expected less"):
        load(tmp_path / "bad")


def test_a_directory_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        load(tmp_path / "nowhere")
