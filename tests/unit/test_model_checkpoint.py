"""Checkpoints: three layouts of one model, opened without a copy, and all that can be wrong with one."""

from __future__ import annotations

import json
import mmap
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from harmony_py.errors import CheckpointError
from harmony_py.model import checkpoint, memory
from harmony_py.model.config import ModelConfig
from harmony_py.model.mxfp4 import unpack
from harmony_py.model.random_weights import random_weights
from harmony_py.model.reference import forward
from harmony_py.model.saving import random_checkpoint, save
from harmony_py.model.weights import Mxfp4, Weights, pick, shapes
from tests.tiny_models import LAYOUTS, TINY, some_ids

SEED = 11


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model in every layout, whole and in three files. Only to be read."""
    path = tmp_path_factory.mktemp("models")
    for layout in LAYOUTS:
        for shards in (1, 3):
            random_checkpoint(path / f"{layout}-{shards}", TINY, layout=layout, seed=SEED, shards=shards)
    return path


def leaves(weights: Weights) -> list[torch.Tensor]:
    """Every tensor in the tuples."""
    found: list[torch.Tensor] = []

    def collect(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found.append(value)
        else:
            for part in value:
                collect(part)

    collect(weights)
    return found


# What each layout stores, spelled out once more: query, key and value are rows of one tensor in the original.
RENAMED = {
    "embedding.weight": "model.embed_tokens.weight",
    "unembedding.weight": "lm_head.weight",
    "norm.scale": "model.norm.weight",
    "attn.norm.scale": "input_layernorm.weight",
    "attn.sinks": "self_attn.sinks",
    "attn.out.weight": "self_attn.o_proj.weight",
    "attn.out.bias": "self_attn.o_proj.bias",
    "mlp.norm.scale": "post_attention_layernorm.weight",
    "mlp.gate.weight": "mlp.router.weight",
    "mlp.gate.bias": "mlp.router.bias",
    "mlp.mlp1_weight.blocks": "mlp.experts.gate_up_proj_blocks",
    "mlp.mlp1_weight.scales": "mlp.experts.gate_up_proj_scales",
    "mlp.mlp1_bias": "mlp.experts.gate_up_proj_bias",
    "mlp.mlp2_weight.blocks": "mlp.experts.down_proj_blocks",
    "mlp.mlp2_weight.scales": "mlp.experts.down_proj_scales",
    "mlp.mlp2_bias": "mlp.experts.down_proj_bias",
}


def renamed(original: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The original layout's tensors as the packed layout has them."""
    packed: dict[str, torch.Tensor] = {}
    for name, tensor in original.items():
        if not name.startswith("block."):
            packed[RENAMED[name]] = tensor
            continue
        _, layer, rest = name.split(".", 2)
        prefix = f"model.layers.{layer}."
        if rest.startswith("attn.qkv"):
            kind = rest.removeprefix("attn.qkv.")
            for letter, start, end in (("q", 0, 256), ("k", 256, 384), ("v", 384, 512)):
                packed[f"{prefix}self_attn.{letter}_proj.{kind}"] = tensor[start:end]
        else:
            packed[prefix + RENAMED[rest]] = tensor
    return packed


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_packed_is_the_original_renamed_and_dense_is_packed_unpacked_and_turned(models: Path) -> None:
    original, packed, dense = (load_file(models / f"{layout}-1" / "model.safetensors") for layout in LAYOUTS)
    assert same(renamed(original), packed)
    for name in list(packed):
        if name.endswith("_blocks"):
            stem = name.removesuffix("_blocks")
            matrix = Mxfp4(packed.pop(name), packed.pop(f"{stem}_scales"))
            packed[stem] = unpack(matrix, torch.bfloat16).transpose(1, 2)
    assert same(packed, dense)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_form_is_the_same_model(layout: str, shards: int, models: Path) -> None:
    opened = checkpoint.open(models / f"{layout}-{shards}")
    opened.check()
    assert opened.config == TINY
    assert opened.layout.name == layout
    files = sorted(path.name for path in opened.path.glob("*.safetensors"))
    assert files == (
        ["model.safetensors"]
        if shards == 1
        else [f"model-{part:05}-of-00003.safetensors" for part in (1, 2, 3)]
    )
    weights, expected = opened.weights(), random_weights(TINY, seed=SEED)
    if layout == "dense":
        for index, (_, experts) in enumerate(expected.layers):
            assert isinstance(experts.gate_up, Mxfp4)
            assert torch.equal(weights.layers[index].experts.gate_up, unpack(experts.gate_up, torch.bfloat16))
    else:
        assert all(map(torch.equal, leaves(weights), leaves(expected)))
    ids = some_ids(20)
    # A matrix that lies turned may be multiplied in another order.
    torch.testing.assert_close(forward(weights, TINY, ids), forward(expected, TINY, ids), rtol=0, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_have_the_shapes_that_they_should(layout: str, models: Path) -> None:
    weights = checkpoint.open(models / f"{layout}-3").weights()
    for name, shape in shapes(TINY).items():
        found = pick(weights, name, 1 if "." in name else None)
        if isinstance(found, Mxfp4):
            assert found.scales.shape == (*shape[:-1], shape[-1] // 32)
            assert found.blocks.shape == (*found.scales.shape, 16)
        else:
            assert found.shape == shape


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_tensor_is_copied(layout: str, models: Path) -> None:
    opened = checkpoint.open(models / f"{layout}-3")
    files = set(opened._homes.values())
    maps = []
    for file in files:
        start = torch.frombuffer(file._map, dtype=torch.uint8).data_ptr()
        maps.append(range(start, start + len(file._map)))
    tensors = leaves(opened.weights())
    assert len(tensors) > 4 * TINY.layers
    assert all(any(tensor.data_ptr() in place for place in maps) for tensor in tensors)


def resident(path: Path) -> int:
    """How many bytes of the mapped file are in this process's memory."""
    maps = Path("/proc/self/smaps").read_text().split(f"{path}\n")[1:]
    sizes = [re.search(r"^Rss: +(\d+) kB$", part, re.MULTILINE) for part in maps]
    assert sizes
    return sum(int(size[1]) << 10 for size in sizes if size)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is in memory")
def test_nothing_is_read_before_it_is_used(tmp_path: Path) -> None:
    random_checkpoint(tmp_path, TINY, layout="packed")
    opened = checkpoint.open(tmp_path)
    weights = opened.weights()
    # The header, and what the kernel reads around it.
    assert 0 < resident(tmp_path / "model.safetensors") < 256 << 10
    for tensor in leaves(weights):
        tensor.max()
    assert resident(tmp_path / "model.safetensors") >= opened.bytes() > 1_500_000


def test_writing_to_a_weight_changes_no_file(models: Path) -> None:
    path = models / "original-1"
    before = (path / "model.safetensors").read_bytes()
    checkpoint.open(path).weights().norm.zero_()
    assert (path / "model.safetensors").read_bytes() == before
    assert checkpoint.open(path).weights().norm.any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_saved_again_it_is_the_same_file(layout: str, models: Path, tmp_path: Path) -> None:
    for shards in (1, 3):
        path, again = models / f"{layout}-{shards}", tmp_path / str(shards)
        opened = checkpoint.open(path)
        save(again, opened.config, opened.weights(), layout=layout, shards=shards)
        names = sorted(file.name for file in path.iterdir())
        assert names == sorted(file.name for file in again.iterdir())
        assert all((path / name).read_bytes() == (again / name).read_bytes() for name in names)


def test_a_float32_checkpoint_is_read_as_it_is(tmp_path: Path) -> None:
    weights = random_weights(TINY, seed=1)
    for layout in ("original", "dense"):
        save(tmp_path / layout, TINY, weights, layout=layout, dtype=torch.float32)
        opened = checkpoint.open(tmp_path / layout)
        assert opened.weights().embedding.dtype == torch.float32
        ids = some_ids(20)
        torch.testing.assert_close(forward(opened.weights(), TINY, ids), forward(weights, TINY, ids))
        if layout == "dense":
            expected = sum(tensor.nbytes for tensor in leaves(opened.weights()))
            assert opened.bytes() == expected


def test_bytes_are_counted_before_loading(models: Path) -> None:
    assert checkpoint.open(models / "original-1").bytes() == TINY.weight_bytes
    opened = checkpoint.open(models / "packed-3")
    assert opened.bytes() == TINY.weight_bytes
    wide = opened.weights(dtype=torch.float32)
    assert wide.norm.dtype == torch.float32
    assert isinstance(wide.layers[0].experts.down, Mxfp4)
    assert opened.bytes(torch.float32) == sum(tensor.nbytes for tensor in leaves(wide))


def test_a_converted_tensor_is_converted_once(models: Path) -> None:
    opened = checkpoint.open(models / "original-1")
    wide = [tensor for tensor in leaves(opened.weights(dtype=torch.float32)) if tensor.dtype == torch.float32]
    # Query, key and value still share the memory of one tensor.
    held = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in wide}
    packed = sum(tensor.nbytes for tensor in leaves(opened.weights()) if tensor.dtype == torch.uint8)
    assert sum(held.values()) == opened.bytes(torch.float32) - packed


def test_what_the_memory_cannot_hold_is_refused(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = checkpoint.open(models / "dense-1")
    monkeypatch.setattr(memory, "available", lambda device: 1_000_000)
    with pytest.raises(
        CheckpointError, match=r"dense-1: expected 3,444,064 bytes of memory on cpu, found 1,000,000"
    ):
        opened.weights()


def test_the_memory_that_is_there_is_known() -> None:
    there = memory.available("cpu")
    assert there is not None
    assert there > 1 << 27
    memory.require(there, "cpu", "all")
    with pytest.raises(CheckpointError, match=r"one more: expected .* bytes of memory on cpu"):
        memory.require(there + 1, "cpu", "one more")


def test_memory_without_a_limit_is_what_is_built_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_LIMITS", ())
    built_in = memory.available("cpu")
    assert built_in is not None
    for text, expected in (("max\n", built_in), ("1000\n", 1000), (f"{built_in * 2}", built_in)):
        (tmp_path / "limit").write_text(text)
        monkeypatch.setattr(memory, "_LIMITS", (tmp_path / "limit",))
        assert memory.available("cpu") == expected
    assert memory.available("meta") is None


def test_seeds_and_layers_differ_and_layouts_do_not(tmp_path: Path) -> None:
    one, two = random_weights(TINY, seed=1), random_weights(TINY, seed=2)
    assert not torch.equal(one.embedding, two.embedding)
    assert not torch.equal(one.embedding, one.unembedding)
    assert not torch.equal(one.layers[0].attention.query, one.layers[1].attention.query)
    assert torch.equal(
        random_weights(replace(TINY, layers=2), seed=1).layers[1].attention.out, one.layers[1].attention.out
    )


def test_random_weights_of_full_width_are_of_the_usual_size() -> None:
    config = replace(ModelConfig.preset("gpt-oss-20b"), layers=1, experts=4, vocab=32)
    weights = random_weights(config, seed=0)
    _, experts = weights.layers[0]
    assert isinstance(experts.down, Mxfp4)
    assert set(experts.down.scales.unique().tolist()) == {118, 119, 120, 121, 122}
    logits = forward(weights, config, some_ids(4, vocab=32))
    assert 0.5 < logits.std() < 2


# What can be wrong.


@pytest.fixture
def broken(models: Path, tmp_path: Path) -> Path:
    """A checkpoint in three files, to be broken."""
    return shutil.copytree(models / "packed-3", tmp_path / "broken")


def rewrite(path: Path, change: dict[str, torch.Tensor | None]) -> None:
    """The file with some tensors changed, added, or (None) taken out."""
    tensors = {**load_file(path), **change}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def error(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.open(path)
    return str(caught.value)


def test_a_missing_shard_is_named(broken: Path) -> None:
    (broken / "model-00002-of-00003.safetensors").unlink()
    found = error(broken)
    assert f"{broken}: file 'model-00002-of-00003.safetensors' is missing; tensor 'model.layers." in found
    assert found.endswith(" more")


def test_without_an_index_too(broken: Path) -> None:
    (broken / "model.safetensors.index.json").unlink()
    checkpoint.open(broken).check()
    (broken / "model-00003-of-00003.safetensors").unlink()
    assert error(broken).startswith(f"{broken}: tensor 'model.layers.")


def test_an_index_that_is_stale_is_found_by_check_alone(broken: Path) -> None:
    index = broken / "model.safetensors.index.json"
    values = json.loads(index.read_text())
    values["weight_map"]["lm_head.weight"] = "model-00001-of-00003.safetensors"
    index.write_text(json.dumps(values))
    opened = checkpoint.open(broken)
    with pytest.raises(
        CheckpointError, match=r"'lm_head.weight' is in 'model-00003-of-00003.safetensors', by"
    ):
        opened.check()


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": [1]}', '{"weight_map": {"a": 1}}', "[" * 100_000])
def test_an_index_that_is_none(text: str, broken: Path) -> None:
    (broken / "model.safetensors.index.json").write_text(text)
    opened = checkpoint.open(broken)
    with pytest.raises(CheckpointError, match=r"index\.json: expected "):
        opened.check()
    (broken / "model-00003-of-00003.safetensors").unlink()
    found = error(broken)
    assert "index.json: expected " in found
    assert "tensor 'model.layers.3." in found


def test_wrong_shapes_and_types_are_named_all_together(broken: Path) -> None:
    rewrite(
        broken / "model-00003-of-00003.safetensors",
        {
            "lm_head.weight": torch.zeros(TINY.vocab + 1, TINY.hidden, dtype=torch.bfloat16),
            "model.norm.weight": torch.zeros(TINY.hidden, dtype=torch.float16),
            "model.layers.4.self_attn.sinks": torch.zeros(4),
        },
    )
    found = error(broken)
    assert (
        "model-00003-of-00003.safetensors: tensor 'lm_head.weight': "
        "expected BF16 or F32 [512, 128], found BF16 [513, 128]" in found
    )
    assert "tensor 'model.norm.weight': expected BF16 or F32 [128], found F16 [128]" in found
    assert "tensor 'model.layers.4.self_attn.sinks': not in a packed checkpoint of this config" in found


def test_scales_must_be_bytes(broken: Path) -> None:
    name = "model.layers.0.mlp.experts.down_proj_scales"
    rewrite(broken / "model-00001-of-00003.safetensors", {name: torch.zeros(8, 128, 3)})
    assert f"tensor {name!r}: expected U8 [8, 128, 3], found F32 [8, 128, 3]" in error(broken)


def test_a_tensor_in_two_files_is_named(broken: Path) -> None:
    rewrite(broken / "model-00001-of-00003.safetensors", {"lm_head.weight": torch.zeros(1)})
    assert "tensor 'lm_head.weight' is in model-00001-of-00003.safetensors too" in error(broken)


def test_another_models_tensors_are_of_no_layout(broken: Path) -> None:
    for path in broken.glob("*.safetensors"):
        path.unlink()
    save_file({"transformer.wte.weight": torch.zeros(2)}, broken / "model.safetensors")
    assert "tensors of no gpt-oss model, such as 'transformer.wte.weight'" in error(broken)


def test_a_config_of_another_size_does_not_fit(broken: Path) -> None:
    values = json.loads((broken / "config.json").read_text())
    values |= {"num_hidden_layers": 3, "layer_types": values["layer_types"][:3]}
    (broken / "config.json").write_text(json.dumps(values))
    assert "tensor 'model.layers.3." in error(broken)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("model.layers.2.mlp.experts.gate_up_proj_scales", 255),
        ("model.layers.3.self_attn.sinks", torch.nan),
        ("model.layers.1.self_attn.q_proj.weight", torch.inf),
        ("model.embed_tokens.weight", -torch.inf),
    ],
)
def test_what_is_no_number_is_found_by_check(name: str, bad: float, broken: Path) -> None:
    home = json.loads((broken / "model.safetensors.index.json").read_text())["weight_map"][name]
    tensor = load_file(broken / home)[name]
    tensor.view(-1)[3] = bad
    rewrite(broken / home, {name: tensor})
    opened = checkpoint.open(broken)
    with pytest.raises(CheckpointError, match=f"{home}: tensor '{name}'.*: expected "):
        opened.check()


def test_what_is_no_checkpoint(tmp_path: Path, models: Path) -> None:
    assert error(tmp_path / "nowhere").startswith(str(tmp_path / "nowhere" / "config.json"))
    assert "No such file" in error(tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert f"{tmp_path / 'config.json'}: expected JSON" in error(tmp_path)
    shutil.copy(models / "original-1" / "config.json", tmp_path)
    assert f"{tmp_path}: expected *.safetensors files, found none" in error(tmp_path)


def test_the_folder_within_is_pointed_at(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "original-1", tmp_path / "original")
    assert f"did you mean {tmp_path / 'original'}?" in error(tmp_path)


def test_saving_refuses_what_it_cannot_do(models: Path, tmp_path: Path) -> None:
    dense = checkpoint.open(models / "dense-1").weights()
    with pytest.raises(CheckpointError, match=r"layer 0, experts.gate_up: expected MXFP4; quantise it first"):
        save(tmp_path / "a", TINY, dense, layout="packed")
    assert list((tmp_path / "a").iterdir()) == []
    with pytest.raises(
        CheckpointError, match="layout: expected one of original, packed, dense, found 'gguf'"
    ):
        save(tmp_path / "b", TINY, dense, layout="gguf")
    with pytest.raises(CheckpointError, match="shards: expected at least 1, found 0"):
        random_checkpoint(tmp_path / "c", TINY, shards=0)
    with pytest.raises(CheckpointError, match="expected a directory without a checkpoint"):
        random_checkpoint(models / "dense-1", TINY)
    with pytest.raises(
        CheckpointError, match=r"embed_tokens.weight' BF16 \[100, 128\], found .* BF16 \[512, 128\]"
    ):
        save(tmp_path / "d", replace(TINY, vocab=100), dense, layout="dense")


def test_others_read_what_is_written(models: Path) -> None:
    for layout in LAYOUTS:
        with safe_open(models / f"{layout}-1" / "model.safetensors", framework="pt") as file:
            assert file.metadata() == {"format": "pt"}
            sizes = [file.get_tensor(name).nbytes for name in file.keys()]  # noqa: SIM118 (no mapping)
        assert sum(sizes) == checkpoint.open(models / f"{layout}-1").bytes()


def test_a_file_stays_mapped_as_long_as_a_tensor_of_it(models: Path) -> None:
    opened = checkpoint.open(models / "original-1")
    kept = opened.weights().norm
    expected = kept.clone()
    [file] = set(opened._homes.values())
    assert isinstance(file._map, mmap.mmap)
    del opened, file
    assert torch.equal(kept, expected)
