"""The reference beside `transformers`' GptOssForCausalLM, on checkpoints that one writes and both read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import GptOssForCausalLM, Mxfp4Config
from transformers.integrations.mxfp4 import convert_moe_packed_tensors
from transformers.utils import logging

from harmony_py.model import checkpoint
from harmony_py.model.mxfp4 import unpack
from harmony_py.model.reference import forward
from harmony_py.model.rope import turns
from harmony_py.model.saving import random_checkpoint
from harmony_py.model.weights import Mxfp4
from tests.tiny_models import LAYOUTS, TINY, UNUSUAL, some_ids

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 1e-4
LENGTHS = (1, 2, 15, 16, 17, 18, 31, 33, 100)
"""Around the window of 16, and well beyond it."""

logging.disable_progress_bar()


def load(path: Path, *, packed: bool) -> GptOssForCausalLM:
    # Asked for in float32 as it is loaded: casting afterwards would also round the pace of positions.
    quantisation = {"quantization_config": Mxfp4Config(dequantize=True)} if packed else {}
    return GptOssForCausalLM.from_pretrained(
        path, dtype=torch.float32, attn_implementation="eager", **quantisation
    ).eval()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model in every layout, whole and in three files."""
    path = tmp_path_factory.mktemp("models")
    for layout in LAYOUTS:
        for shards in (1, 3):
            random_checkpoint(path / f"{layout}-{shards}", TINY, layout=layout, seed=7, shards=shards)
    return path


@pytest.fixture(scope="module")
def theirs(directory: Path) -> GptOssForCausalLM:
    return load(directory / "packed-1", packed=True)


@torch.no_grad()
def logits(model: GptOssForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    return model(ids[None], use_cache=False).logits[0]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_their_logits(
    layout: str, shards: int, directory: Path, theirs: GptOssForCausalLM
) -> None:
    opened = checkpoint.open(directory / f"{layout}-{shards}")
    weights = opened.weights()
    for length in LENGTHS:
        ids = some_ids(length, seed=length)
        torch.testing.assert_close(
            forward(weights, opened.config, ids), logits(theirs, ids), rtol=0, atol=TOLERANCE
        )


@pytest.mark.parametrize("layout", ["packed", "dense"])
def test_every_number_of_a_config_counts_as_theirs_does(layout: str, tmp_path: Path) -> None:
    random_checkpoint(tmp_path, UNUSUAL, layout=layout, seed=3)
    theirs, opened = load(tmp_path, packed=layout == "packed"), checkpoint.open(tmp_path)
    assert opened.config == UNUSUAL
    for length in (1, 5, 6, 60):
        ids = some_ids(length, vocab=UNUSUAL.vocab)
        torch.testing.assert_close(
            forward(opened.weights(), UNUSUAL, ids), logits(theirs, ids), rtol=0, atol=TOLERANCE
        )


@pytest.mark.parametrize("name", ["packed-3", "dense-1", "dense-3"])
def test_they_read_every_form_that_we_write(name: str, directory: Path, theirs: GptOssForCausalLM) -> None:
    again = load(directory / name, packed=name.startswith("packed")).state_dict()
    expected = theirs.state_dict()
    assert again.keys() == expected.keys()
    assert [key for key in expected if not torch.equal(again[key], expected[key])] == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_we_read_what_they_write(
    dtype: torch.dtype, directory: Path, theirs: GptOssForCausalLM, tmp_path: Path
) -> None:
    # Their config is spelled the newer way, the weights are dense. Every number was bfloat16 before.
    GptOssForCausalLM.from_pretrained(
        directory / "packed-1", dtype=dtype, quantization_config=Mxfp4Config(dequantize=True)
    ).save_pretrained(tmp_path)
    opened = checkpoint.open(tmp_path)
    assert opened.layout.name == "dense"
    assert opened.config == TINY
    ids = some_ids(40)
    found = forward(opened.weights(), opened.config, ids)
    torch.testing.assert_close(found, logits(theirs, ids), rtol=0, atol=TOLERANCE)


def test_positions_turn_as_theirs_do(theirs: GptOssForCausalLM) -> None:
    positions = torch.tensor([0, 1, 4095, 4096, 131_071])
    for ours, other in zip(
        turns(TINY, positions), theirs.model.rotary_emb(torch.zeros(1), positions[None]), strict=True
    ):
        assert torch.equal(ours, other[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_byte_with_every_scale_is_what_they_unpack(dtype: torch.dtype) -> None:
    blocks = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(1, 255, 1, 1)
    # But for the scale 255, which the standard says is NaN and they take for 2 ** 128.
    scales = torch.arange(255, dtype=torch.uint8).view(1, 255, 1).repeat(1, 1, 16)
    theirs = convert_moe_packed_tensors(blocks, scales, dtype=dtype)
    assert torch.equal(unpack(Mxfp4(blocks, scales), dtype).transpose(1, 2), theirs)
