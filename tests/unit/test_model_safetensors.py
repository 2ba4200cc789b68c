"""Safetensors files that lie: each lie is named, and none is believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from harmony_py.errors import CheckpointError
from harmony_py.model.safetensors_file import Piece, SafetensorsFile, write

if TYPE_CHECKING:
    from pathlib import Path

TENSORS = {
    "a": torch.arange(6, dtype=torch.float32).view(2, 3),
    "b": torch.arange(5, dtype=torch.uint8),
    "c": torch.arange(8, dtype=torch.bfloat16).view(2, 2, 2),
}
GOOD = save(TENSORS, {"format": "pt"})
LENGTH = int.from_bytes(GOOD[:8], "little")
HEADER = json.loads(GOOD[8 : 8 + LENGTH])
DATA = GOOD[8 + LENGTH :]


def with_header(header: Any, data: bytes = DATA) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def changed(name: str, **change: Any) -> bytes:
    return with_header({**HEADER, name: {**HEADER[name], **change}})


def test_theirs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(GOOD)
    file = SafetensorsFile(path)
    assert {name: file.tensor(name).tolist() for name in file.tensors} == {
        name: tensor.tolist() for name, tensor in TENSORS.items()
    }


def test_ours_is_read_by_them(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    pieces = [Piece(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in TENSORS.items()]
    write(path, pieces, iter(TENSORS.values()))
    theirs = load_file(path)
    assert theirs.keys() == TENSORS.keys()
    assert all(torch.equal(theirs[name], TENSORS[name]) for name in TENSORS)
    assert [found.name for found in tmp_path.iterdir()] == ["x.safetensors"]
    # "c" begins at an odd place behind "b": it can be read, by a copy.
    ours = SafetensorsFile(path)
    assert ours.tensors["c"].start % 2 == 1
    assert torch.equal(ours.tensor("c"), TENSORS["c"])
    assert ours.tensor("c").data_ptr() % 2 == 0


def test_what_could_not_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected tensor 'a' F32 \[2\], found tensor 'a' F32 \[3\]"):
        write(tmp_path / "x.safetensors", [Piece("a", torch.float32, (2,))], iter([torch.zeros(3)]))
    assert list(tmp_path.iterdir()) == []


BROKEN = {
    "empty": (b"", "expected a safetensors file, found 0 bytes"),
    "shorter than the length": (GOOD[:5], "found 5 bytes"),
    "header cut short": (GOOD[: 8 + LENGTH - 1], "expected a header of .* bytes"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git lfs pull"),
    "data cut short": (GOOD[:-1], "expected .* bytes, found .*: cut short"),
    "data too long": (GOOD + b"\0", "expected .* bytes, found"),
    "endless header": (b"\xff" * 8 + GOOD[8:], "expected a header of 18446744073709551615 bytes"),
    "no JSON": (with_header(b"{" + b" " * 40), "the header is no JSON"),
    "no UTF-8": (with_header(b'{"\xff": 1}'), "the header is no JSON"),
    "not an object": (with_header([1]), "the header is no JSON object"),
    "nested": (with_header(b"[" * 200_000), "the header is no JSON"),
    "a long number": (with_header(b'{"a": ' + b"9" * 5000 + b"}"), "the header is no JSON"),
    "a name twice": (with_header(b'{"a": 1, "b": 2, "a": 3}'), "'a' stands there twice"),
    "no entry": (
        with_header({**HEADER, "a": 5}),
        "tensor 'a': expected dtype, shape and data_offsets, found 5",
    ),
    "an entry too few": (with_header({**HEADER, "a": {"dtype": "F32"}}), "tensor 'a': expected dtype, shape"),
    "no dtype": (changed("a", dtype=5), "tensor 'a': expected the name of a dtype, found 5"),
    "another dtype": (changed("a", dtype="BF16"), "tensor 'a': expected 12 bytes for BF16"),
    "no shape": (changed("a", shape=6), "tensor 'a': expected a shape, found 6"),
    "a negative side": (changed("a", shape=[-2, -3]), "tensor 'a': expected a shape"),
    "a boolean side": (changed("a", shape=[True, 6]), "tensor 'a': expected a shape"),
    "another shape": (changed("a", shape=[2, 4]), "tensor 'a': expected 32 bytes for F32"),
    "a shape that overflows": (changed("a", shape=[1 << 62, 1 << 62]), "tensor 'a': expected .* bytes"),
    "endless sides": (changed("a", shape=[1] * 100), "tensor 'a': expected a shape"),
    "one offset": (changed("a", data_offsets=[0]), "tensor 'a': expected two offsets"),
    "backwards": (changed("a", data_offsets=[24, 0]), "tensor 'a': expected 24 bytes for F32"),
    "out of the file": (
        changed("b", data_offsets=[1 << 40, (1 << 40) + 5]),
        "tensor 'b': expected to begin at",
    ),
    "overlapping": (
        with_header({**HEADER, "d": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}),
        "expected to begin at",
    ),
    "a gap": (changed("b", data_offsets=[41, 46]), "tensor 'b': expected to begin at"),
    "backwards of another type": (changed("b", dtype="I8", data_offsets=[45, 40]), "tensor 'b': expected"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_and_says_why(what: str, tmp_path: Path) -> None:
    data, why = BROKEN[what]
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=rf"x\.safetensors: .*{why}"):
        SafetensorsFile(path)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"y\.safetensors: No such file"):
        SafetensorsFile(tmp_path / "y.safetensors")
    with pytest.raises(CheckpointError, match="Is a directory"):
        SafetensorsFile(tmp_path)


@given(st.data())
def test_whatever_is_in_a_file_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, 8 + LENGTH))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "x.safetensors"
    path.write_bytes(content)
    try:
        file = SafetensorsFile(path)
        read = {
            name: file.tensor(name).tolist()
            for name, tensor in file.tensors.items()
            if tensor.dtype in ("BF16", "F32", "U8")
        }
    except CheckpointError as error:
        assert str(error).startswith(str(path))
        return
    # What we believe, they believe too, or they have never heard of the type.
    try:
        with safe_open(path, framework="pt") as theirs:
            assert read.keys() <= set(theirs.keys())
            for name, numbers in read.items():
                assert str(theirs.get_tensor(name).tolist()) == str(numbers)
    except SafetensorError as error:
        assert "unknown variant" in str(error) or "metadata" in str(error).lower()
