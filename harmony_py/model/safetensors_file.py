"""One safetensors file: its header checked against its size, its tensors views of the mapped file.

The format is eight bytes for the length of the header, the header in JSON, and the tensors one behind the
other without a gap. What a header says is believed only where all of it fits.
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from harmony_py.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

DTYPES: Final = {"BF16": torch.bfloat16, "F32": torch.float32, "U8": torch.uint8}
"""The types that a checkpoint of these models is made of."""

NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}

_LONGEST_HEADER: Final = 100_000_000
_POINTER: Final = b"version https://git-lfs"
"""What Git puts in a file's place until Git LFS has brought it."""

_ALIGNMENT: Final = 64
_MOST_SIDES: Final = 8


class Stored(NamedTuple):
    """A tensor in a file, as the header has it."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    """Of its bytes, counted from the beginning of the file."""
    end: int


class SafetensorsFile:
    """A file, mapped. Nothing of a tensor is read before its numbers are used.

    Raises `CheckpointError` if it is no whole safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < 8:
                    raise CheckpointError(f"{path}: expected a safetensors file, found {size} bytes")
                self._map = _map(file.fileno(), size)
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror}") from error
        self.tensors: Final = _read_header(path, self._map)
        """By name."""

    def tensor(self, name: str) -> Tensor:
        """A view of the mapped bytes. A copy only where they lie across the type's natural places."""
        entry = self.tensors[name]
        dtype = DTYPES[entry.dtype]
        flat = torch.frombuffer(self._map, dtype=dtype, count=math.prod(entry.shape), offset=entry.start)
        # Torch and its kernels may take for granted that a number's address is a multiple of its size.
        return (flat.clone() if entry.start % dtype.itemsize else flat).view(entry.shape)


def _map(descriptor: int, size: int) -> mmap.mmap:
    """The file in memory, private: who writes to a tensor changes no file."""
    if sys.platform == "win32":
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)
    # Without a reserve, a file larger than the memory can be mapped too.
    flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0)
    return mmap.mmap(descriptor, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def _read_header(path: Path, data: mmap.mmap) -> dict[str, Stored]:
    if data[: len(_POINTER)] == _POINTER:
        raise CheckpointError(f"{path}: expected weights, found a pointer of Git LFS; git lfs pull gets them")
    length = int.from_bytes(data[:8], "little")
    begin = 8 + length
    if length > _LONGEST_HEADER or begin > len(data):
        raise CheckpointError(
            f"{path}: expected a header of {length} bytes, found {len(data) - 8}: cut short?"
        )
    try:
        header = json.loads(data[8:begin].decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: the header is no JSON object")
    header.pop("__metadata__", None)
    tensors = {name: _stored(f"{path}: tensor {name!r:.200}", value, begin) for name, value in header.items()}
    end = begin
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if tensor.start != end:
            raise CheckpointError(
                f"{path}: tensor {name!r:.200}: expected to begin at {end}, found {tensor.start}"
            )
        end = tensor.end
    if end != len(data):
        raise CheckpointError(f"{path}: expected {end} bytes, found {len(data)}: cut short?")
    return tensors


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{name!r:.200} stands there twice")
    return values


def _stored(where: str, value: Any, begin: int) -> Stored:
    """One tensor's line of the header, checked by itself."""
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{where}: expected dtype, shape and data_offsets, found {value!r:.200}")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str):
        raise CheckpointError(f"{where}: expected the name of a dtype, found {dtype!r:.200}")
    if not _are_counts(shape) or len(shape) > _MOST_SIDES:
        raise CheckpointError(f"{where}: expected a shape, found {shape!r:.200}")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{where}: expected two offsets, found {offsets!r:.200}")
    found = offsets[1] - offsets[0]
    # Of other types it is enough that their offsets fit between the others': nothing reads them.
    needed = math.prod(shape) * DTYPES[dtype].itemsize if dtype in DTYPES else max(found, 0)
    if found != needed:
        raise CheckpointError(f"{where}: expected {needed} bytes for {dtype} {shape}, found {found}")
    return Stored(dtype, tuple(shape), begin + offsets[0], begin + offsets[1])


def _are_counts(values: Any) -> bool:
    """A list of whole numbers that a file of any size can have."""
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 for value in values
    )


class Piece(NamedTuple):
    """A tensor to be written."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"tensor {self.name!r} {NAMES.get(self.dtype, self.dtype)} {list(self.shape)}"

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def write(path: Path, pieces: list[Piece], tensors: Iterator[Tensor]) -> None:
    """A file of `pieces`, for which as many tensors are drawn, one at a time, and let go.

    The file has its name only when it is whole.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for piece in pieces:
        start, end = end, end + piece.bytes
        dtype = NAMES[piece.dtype]
        header[piece.name] = {"dtype": dtype, "shape": piece.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for piece in pieces:
                tensor = next(tensors)
                if (found := Piece(piece.name, tensor.dtype, tuple(tensor.shape))) != piece:
                    raise CheckpointError(f"{path}: expected {piece}, found {found}")
                file.write(_bytes(tensor))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _bytes(tensor: Tensor) -> memoryview:
    """A tensor's bytes, without numpy, which not everybody has."""
    flat = tensor.detach().cpu().contiguous()
    view = (ctypes.c_char * flat.nbytes).from_address(flat.data_ptr())
    view._keep = flat  # type: ignore[attr-defined]
    return memoryview(view)
