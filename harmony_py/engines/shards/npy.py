"""Shards as `.npy` files, which numpy maps into memory. Neither writing nor reading takes numpy."""

from __future__ import annotations

import ast
import math
import mmap
import sys
from array import array
from itertools import chain
from typing import TYPE_CHECKING, Final

from harmony_py.engines.shards.files import Written, write_whole
from harmony_py.engines.shards.layout import FIELDS, Bounds, Shard
from harmony_py.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from typing_extensions import Buffer

_ORDER: Final = "<" if sys.byteorder == "little" else ">"
_MAGIC: Final = b"\x93NUMPY\x01\x00"
_TEXT: Final = len(_MAGIC) + 2
"""Where a header's text begins: behind its length."""

_ALIGNED: Final = 64

_KINDS: Final = {"ids": (f"{_ORDER}i4", "i"), "mask": ("|b1", "?"), "samples": (f"{_ORDER}i8", "q")}
"""The three files of a shard: numpy's name of the type, and Python's."""


def write_npy(stem: Path, shard: Shard, scratch: Path) -> dict[str, Written]:
    """Write the files of a shard, and say what is in them, by their names."""
    count = len(shard.ids)
    shape: tuple[int, ...] = (count,) if shard.length is None else (count // shard.length, shard.length)
    parts: dict[str, tuple[tuple[int, ...], Buffer]] = {
        "ids": (shape, shard.ids),
        "mask": (shape, shard.mask),
        "samples": ((len(shard.samples), len(FIELDS)), array("q", chain.from_iterable(shard.samples))),
    }
    written = {}
    for name, (shape, data) in parts.items():
        path = _path(stem, name)
        written[path.name] = write_whole(path, [_header(_KINDS[name][0], shape), data], scratch)
    return written


def read_npy(stem: Path, length: int | None) -> Shard:
    """A shard, mapped into memory; `ShardError` if a file is not as it should be."""
    ids, mask, samples = (_read(_path(stem, name), *_KINDS[name]) for name in _KINDS)
    if len(ids) != len(mask) or len(samples) % len(FIELDS):
        reason = (
            f"{len(ids)} ids, {len(mask)} marks on them, {len(samples)} numbers that say where samples are"
        )
        raise ShardError(str(stem), reason)
    rows = zip(*[iter(samples)] * len(FIELDS), strict=True)
    return Shard(ids, mask, [Bounds(*row) for row in rows], length)


def _path(stem: Path, name: str) -> Path:
    return stem.with_name(f"{stem.name}.{name}.npy")


def _header(kind: str, shape: Sequence[int]) -> bytes:
    said = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    text = said + " " * (-(_TEXT + len(said) + 1) % _ALIGNED) + "\n"
    return _MAGIC + len(text).to_bytes(2, "little") + text.encode("latin-1")


def _read(path: Path, kind: str, code: str) -> memoryview:
    try:
        with path.open("rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        start = _TEXT + int.from_bytes(view[len(_MAGIC) : _TEXT], "little")
        header = ast.literal_eval(bytes(view[_TEXT:start]).decode("latin-1"))
        numbers: memoryview = view[start:].cast(code)  # type: ignore[call-overload]  # a code that is not a literal
        wanted = math.prod(header["shape"])
        right = bytes(view[: len(_MAGIC)]) == _MAGIC and header["descr"] == kind and len(numbers) == wanted
    except OSError as problem:
        raise ShardError(str(path), problem.strerror or str(problem)) from None
    except (KeyError, SyntaxError, TypeError, ValueError, MemoryError, RecursionError) as problem:
        raise ShardError(str(path), f"no .npy file of ours: {problem}") from None
    if not right:
        raise ShardError(str(path), f"expected {kind}, as many as it says; found {len(numbers)}, {header}")
    return numbers
