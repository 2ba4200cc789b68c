"""Shards as Parquet files, which other tools read; and conversations in Parquet files. Needs pyarrow."""

from __future__ import annotations

import importlib
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from harmony_py.engines.shards.files import Written, write_whole
from harmony_py.engines.shards.layout import FIELDS, IGNORED, Bounds, Shard
from harmony_py.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MISSING: Final = "Parquet needs pyarrow: pip install 'harmony-py[parquet]'"

_ORIGIN: Final = FIELDS[2:]


def pyarrow(part: str = "") -> Any:
    try:
        return importlib.import_module(f"pyarrow{part}")
    except ImportError:
        raise ImportError(_MISSING) from None


def open_parquet(path: Path) -> Any:
    """The file as a `pyarrow.parquet.ParquetFile`; `ShardError` if it is none."""
    try:
        return pyarrow(".parquet").ParquetFile(path)
    except (OSError, ValueError) as problem:  # pyarrow's errors are one or the other
        raise ShardError(str(path), f"no Parquet file: {problem}") from None


def write_parquet(stem: Path, shard: Shard, scratch: Path) -> dict[str, Written]:
    """Write a shard as a table, and say what is in it. The columns are those that trainers look for."""
    arrow = pyarrow()
    sink = arrow.BufferOutputStream()
    pyarrow(".parquet").write_table(_table(arrow, shard), sink, compression="zstd")
    path = _path(stem)
    return {path.name: write_whole(path, [memoryview(sink.getvalue())], scratch)}


def read_parquet(stem: Path, length: int | None) -> Shard:
    """A shard, read into memory; `ShardError` if the file is not as it should be."""
    path = _path(stem)
    with open_parquet(path) as file:
        try:
            table = file.read().combine_chunks()
            ids, labels = (_flat(table, name) for name in ("input_ids", "labels"))
            mask = pyarrow(".compute").not_equal(labels, IGNORED).cast("int8")
            lengths, sources = (table.column(name).to_pylist() for name in ("seq_lengths", "sources"))
            samples = list(_bounds(lengths, sources))
            return Shard(_view(ids).cast("i"), _view(mask).cast("?"), samples, length)
        except (KeyError, TypeError, ValueError) as problem:
            raise ShardError(str(path), f"no shard of ours: {problem}") from None


def _path(stem: Path) -> Path:
    return stem.with_name(f"{stem.name}.parquet")


def _table(arrow: Any, shard: Shard) -> Any:
    """A row for each row. What fills it up counts as one more sequence, so that the lengths make the row."""
    rows = list(shard.rows())
    lengths, sources, place = [], [], 0
    for _, stop in rows:
        inside = []
        while place < len(shard.samples) and shard.samples[place].stop <= stop:
            inside.append(shard.samples[place])
            place += 1
        padding = stop - inside[-1].stop
        lengths.append([each.stop - each.start for each in inside] + ([padding] if padding else []))
        sources.append([dict(zip(_ORIGIN, each[2:], strict=True)) for each in inside])
    offsets = arrow.array([0, *(stop for _, stop in rows)], arrow.int32())
    ids, mask = (
        arrow.Array.from_buffers(kind, len(shard.ids), [None, arrow.py_buffer(data)])
        for kind, data in ((arrow.int32(), shard.ids), (arrow.int8(), shard.mask))
    )
    labels = pyarrow(".compute").if_else(mask.cast("bool"), ids, arrow.scalar(IGNORED, arrow.int32()))
    origin = arrow.struct([(name, arrow.int64()) for name in _ORIGIN])
    return arrow.table(
        {
            "input_ids": arrow.ListArray.from_arrays(offsets, ids),
            "labels": arrow.ListArray.from_arrays(offsets, labels),
            "seq_lengths": arrow.array(lengths, arrow.list_(arrow.int32())),
            "sources": arrow.array(sources, arrow.list_(origin)),
        }
    )


def _flat(table: Any, name: str) -> Any:
    """The numbers of a column of lists, one behind the other."""
    (chunk,) = table.column(name).chunks
    return chunk.flatten()


def _view(numbers: Any) -> memoryview:
    """The bytes of an array of numbers, as they lie in memory."""
    size = numbers.type.bit_width // 8
    start = numbers.offset * size
    return memoryview(numbers.buffers()[1]).cast("b")[start : start + len(numbers) * size]


def _bounds(lengths: list[list[int]], sources: list[list[dict[str, int]]]) -> Iterator[Bounds]:
    row = 0
    for sizes, origins in zip(lengths, sources, strict=True):
        ends = list(accumulate(sizes, initial=row))
        for start, stop, origin in zip(ends, ends[1:], origins, strict=False):
            yield Bounds(start, stop, *(origin[name] for name in _ORIGIN))
        row = ends[-1]
