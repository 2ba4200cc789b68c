"""How shards are written: as numpy and other Parquet readers see them, and what is made of damaged ones."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harmony_py import HarmonyEncoding, Message, load_harmony_encoding
from harmony_py.engines.shards import Recipe, make_shards, read_shards, verify
from harmony_py.engines.shards.files import sha256_of, write_whole
from harmony_py.errors import ShardError
from harmony_py.tokenizer.special import END_OF_TEXT, N_VOCAB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENCODING = load_harmony_encoding()


def flat(number: int) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": f"How much is {number} and {number}? " + "Think. " * (number % 7)},
        {"role": "assistant", "channel": "analysis", "content": "Easy."},
        {"role": "assistant", "channel": "final", "content": f"{2 * number}."},
    ]


def rendered(number: int) -> Any:
    messages = [Message.from_dict(message) for message in flat(number)]
    return ENCODING.render_detailed(messages, training=True)


COUNT = 30


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"messages": flat(n)}) + "\n" for n in range(COUNT)), "utf-8")
    return path


def test_numpy_maps_packed_rows(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    make_shards([source], folder, Recipe(length=128, pack=True))
    ids = np.load(folder / "shard-00000.ids.npy", mmap_mode="r")
    mask = np.load(folder / "shard-00000.mask.npy", mmap_mode="r")
    samples = np.load(folder / "shard-00000.samples.npy", mmap_mode="r")
    assert (ids.dtype, mask.dtype, samples.dtype) == (np.int32, np.bool_, np.int64)
    assert ids.shape == mask.shape
    assert ids.shape[1] == 128
    assert len(samples) == COUNT
    seen = np.zeros(ids.size, bool)
    for start, stop, file, line, part in samples:
        expected = rendered(line - 1)
        assert ids.reshape(-1)[start:stop].tolist() == expected.tokens
        assert mask.reshape(-1)[start:stop].tolist() == expected.loss_mask
        assert (file, part) == (0, 0)
        assert start // 128 == (stop - 1) // 128
        seen[start:stop] = True
    assert set(ids.reshape(-1)[~seen].tolist()) == {END_OF_TEXT}
    assert not mask.reshape(-1)[~seen].any()


def test_numpy_maps_samples_one_behind_the_other(source: Path, tmp_path: Path) -> None:
    make_shards([source], tmp_path / "out")
    ids = np.load(tmp_path / "out" / "shard-00000.ids.npy", mmap_mode="r")
    assert ids.tolist() == [token for number in range(COUNT) for token in rendered(number).tokens]


@pytest.mark.parametrize("length", [None, 128])
def test_parquet_says_the_same(source: Path, tmp_path: Path, length: int | None) -> None:
    recipes = [Recipe(length=length, pack=length is not None, format=name) for name in ("npy", "parquet")]
    for recipe in recipes:
        make_shards([source], tmp_path / recipe.format, recipe)
        verify(tmp_path / recipe.format)
    plain, table = (
        [(list(row.ids), list(map(bool, row.mask)), row.samples) for row in read_shards(tmp_path / name)]
        for name in ("npy", "parquet")
    )
    assert plain == table
    rows = pq.read_table(tmp_path / "parquet" / "shard-00000.parquet").to_pylist()
    assert [row["input_ids"] for row in rows] == [ids for ids, _, _ in plain]
    assert [row["labels"] for row in rows] == [
        [token if wanted else -100 for token, wanted in zip(ids, mask, strict=True)] for ids, mask, _ in plain
    ]
    for row in rows:
        assert sum(row["seq_lengths"]) == len(row["input_ids"])
        assert len(row["sources"]) + (row["input_ids"][-1] == END_OF_TEXT) == len(row["seq_lengths"])


def test_rows_say_what_a_trainer_needs(source: Path, tmp_path: Path) -> None:
    make_shards([source], tmp_path / "out", Recipe(length=128, pack=True))
    for row in read_shards(tmp_path / "out"):
        labels, positions = row.labels(), row.positions()
        assert len(labels) == len(positions) == 128
        assert [label for label in labels if label != -100] == [
            token for token, wanted in zip(row.ids, row.mask, strict=True) if wanted
        ]
        assert {label == -100 for label, wanted in zip(labels, row.mask, strict=True) if not wanted} <= {True}
        starts = [start for start, _ in row.sequences()]
        assert [place for place, position in enumerate(positions) if position == 0] == starts
        assert all(positions[place] == positions[place - 1] + 1 for place in set(range(128)) - set(starts))


def conversations_table(as_json: bool) -> pa.Table:
    tools = [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    ]
    messages = [
        [{"role": "user", "content": f"Hi {n}"}, {"role": "assistant", "content": "Yes"}] for n in range(9)
    ]
    write = json.dumps if as_json else (lambda value: value)
    return pa.table(
        {
            "chat": [write(each) for each in messages],
            "tools": [json.dumps(tools)] * 8 + [None],
            "source": list(range(9)),
        }
    )


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("shard_bytes", [50, 2**20])
def test_conversations_in_parquet(tmp_path: Path, as_json: bool, shard_bytes: int) -> None:
    pq.write_table(conversations_table(as_json), tmp_path / "in.parquet", row_group_size=4)
    lines = [
        json.dumps({name: value for name, value in row.items() if value is not None})
        for row in conversations_table(as_json).to_pylist()
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), "utf-8")
    recipe = Recipe(form="chat", column="chat", shard_bytes=shard_bytes)
    for name in ("parquet", "jsonl"):
        manifest = make_shards([tmp_path / f"in.{name}"], tmp_path / name, recipe)
        assert manifest["counts"]["conversations"] == 9
        verify(tmp_path / name)
    found, wanted = (
        [(list(row.ids), row.samples[0].line) for row in read_shards(tmp_path / name)]
        for name in ("parquet", "jsonl")
    )
    assert found == wanted
    assert "namespace functions" in ENCODING.decode(found[0][0])
    assert "namespace functions" not in ENCODING.decode(found[8][0])


def test_a_row_that_is_no_conversation_is_kept(tmp_path: Path) -> None:
    table = pa.table({"messages": ['[{"role": "user", "content": "Hi"}]', "[{", None]})
    pq.write_table(table, tmp_path / "in.parquet")
    make_shards([tmp_path / "in.parquet"], tmp_path / "out")
    lines = (tmp_path / "out" / "errors.jsonl").read_text("utf-8").splitlines()
    errors = [json.loads(line) for line in lines]
    assert [error["line"] for error in errors] == [2, 3]
    assert json.loads(errors[0]["raw"]) == {"messages": "[{"}
    assert "no JSON" in errors[0]["error"]


def test_a_file_that_is_no_parquet_or_lacks_the_column(tmp_path: Path) -> None:
    (tmp_path / "in.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(ShardError, match=r"in\.parquet: no Parquet file"):
        make_shards([tmp_path / "in.parquet"], tmp_path / "out")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "in.parquet")
    with pytest.raises(ShardError, match="expected a column 'messages'; there are text"):
        make_shards([tmp_path / "in.parquet"], tmp_path / "out")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    scratch, path = tmp_path / "scratch", tmp_path / "file"
    scratch.mkdir()
    assert write_whole(path, [b"old ", b"content"], scratch) == (11, sha256_of(path))

    def breaking_off() -> Iterator[bytes]:
        yield b"new "
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, breaking_off(), scratch)
    assert path.read_bytes() == b"old content"
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "other", breaking_off(), scratch)
    assert not (tmp_path / "other").exists()
    with pytest.raises(ShardError, match=r"none/file: No such file or directory"):
        write_whole(tmp_path / "none" / "file", [b""], scratch)


def test_a_disk_that_takes_no_more_is_told_of(source: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system limits no file sizes")
    command = [sys.executable, "-m", "harmony_py", "shards", str(source), str(tmp_path / "out")]
    most = 2000
    ran = subprocess.run(
        command,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr == f"harmony-py shards: {tmp_path}/out/shard-00000.ids.npy: File too large\n"
    make_shards([str(source)], tmp_path / "out")
    verify(tmp_path / "out")


def test_memory_does_not_grow_with_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the encoding remembers is limited, but to more than this test writes.
    forgetful = HarmonyEncoding(cache_tokens=1000)
    monkeypatch.setattr("harmony_py.engines.shards.build.load_harmony_encoding", lambda: forgetful)
    peaks = []
    for count in (400, 1600):
        lines = (json.dumps({"messages": flat(number)}) + "\n" for number in range(count))
        (tmp_path / f"{count}.jsonl").write_text("".join(lines), "utf-8")
        tracemalloc.start()
        make_shards([tmp_path / f"{count}.jsonl"], tmp_path / str(count), Recipe(shard_bytes=30_000))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


# -- damage ------------------------------------------------------------------------------------------------


def forge(folder: Path, change: Callable[[dict[str, np.ndarray[Any, Any]]], object]) -> None:
    """Change a shard, and its hashes with it."""
    names = ("ids", "mask", "samples")
    arrays = {name: np.load(folder / f"shard-00000.{name}.npy") for name in names}
    change(arrays)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name, array in arrays.items():
        path = folder / f"shard-00000.{name}.npy"
        np.save(path, array)
        manifest["shards"][0]["files"][path.name]["sha256"] = sha256_of(path)
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def set_at(name: str, place: tuple[int, ...], value: object) -> Callable[[dict[str, Any]], object]:
    return lambda arrays: arrays[name].__setitem__(place, value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_at("ids", (0, 0), 5), "Unexpected token 5"),
        (set_at("ids", (0, 5), N_VOCAB + 7), "expected ids from 0"),
        (set_at("ids", (-1, -1), 5), "expected nothing but padding"),
        (set_at("mask", (-1, -1), True), "expected nothing but padding"),
        (set_at("mask", (0, 0), True), "its first token is trained on"),
        (set_at("mask", (0, 1), True), "trained: the manifest says"),
        (set_at("samples", (0, 0), 1), "expected a sample from 0"),
        (set_at("samples", (0, 1), 10_000), "expected a sample from 0"),
        (set_at("samples", (0, 1), -1), "expected a sample from 0"),
    ],
)
def test_verify_finds_what_is_wrong_within(source: Path, tmp_path: Path, change: Any, reason: str) -> None:
    make_shards([source], tmp_path / "out", Recipe(length=128, pack=True))
    forge(tmp_path / "out", lambda arrays: None)
    verify(tmp_path / "out")
    forge(tmp_path / "out", change)
    with pytest.raises(ShardError, match=reason):
        verify(tmp_path / "out")


@pytest.mark.parametrize(("name", "count"), [("ids", -1), ("mask", -1), ("samples", -2)])
def test_arrays_that_do_not_belong_together_are_refused(
    source: Path, tmp_path: Path, name: str, count: int
) -> None:
    make_shards([source], tmp_path / "out")
    forge(tmp_path / "out", lambda arrays: arrays.update({name: arrays[name].reshape(-1)[:count]}))
    with pytest.raises(ShardError, match=r"shard-00000: [0-9]+ ids, [0-9]+ marks"):
        list(read_shards(tmp_path / "out"))


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(format="parquet")])
def test_verify_finds_every_changed_byte(source: Path, tmp_path: Path, recipe: Recipe) -> None:
    make_shards([source], tmp_path / "out", recipe)
    for path in (tmp_path / "out").glob("shard-*"):
        before = path.read_bytes()
        for place in range(0, len(before), 97):
            path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
            with pytest.raises(ShardError, match=f"{path.name}: expected sha256"):
                verify(tmp_path / "out")
        path.unlink()
        with pytest.raises(ShardError, match=f"{path.name}: No such file"):
            verify(tmp_path / "out")
        path.write_bytes(before)
    verify(tmp_path / "out")


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"PAR1" * 9, b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 70_000]
)
@pytest.mark.parametrize("recipe", [Recipe(), Recipe(format="parquet")])
def test_a_file_that_is_something_else_is_named(
    source: Path, tmp_path: Path, content: bytes, recipe: Recipe
) -> None:
    make_shards([source], tmp_path / "out", recipe)
    for path in (tmp_path / "out").glob("shard-*"):
        before = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(ShardError, match=path.name):
            list(read_shards(tmp_path / "out"))
        path.write_bytes(before)


@pytest.mark.parametrize("content", [b"{}", b"[]", b"{", b'{"format": "harmony_py shards 0"}'])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ShardError, match=r"manifest\.json"):
        verify(tmp_path)
