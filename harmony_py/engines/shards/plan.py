"""Which part of the input goes into which shard: decided before anything is rendered, by its bytes alone.

So a shard is a function of its part of the input, whoever makes it, in whatever order, however often.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.engines.shards.parquet import open_parquet
from harmony_py.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from harmony_py.engines.shards.recipe import Recipe

PARQUET: Final = ".parquet"
JSON_LINES: Final = (".jsonl", ".ndjson")

_BLOCK: Final = 2**20


class Input(NamedTuple):
    """A file, as it was when the shards were planned."""

    file: str
    bytes: int
    sha256: str


class Slice(NamedTuple):
    """A run of records of one file."""

    file: int
    """Which of the inputs."""
    name: str
    """The file's, as the caller has it."""
    path: str
    """Where it is; absolute."""
    start: int
    """Of JSON lines the first byte, of a table the first row."""
    stop: int
    """Exclusive."""
    line: int
    """The number of the first line or row, counted from one."""


class Unit(NamedTuple):
    """The smallest run of records that is not divided."""

    start: int
    stop: int
    line: int
    bytes: int


class Plan(NamedTuple):
    inputs: list[Input]
    shards: list[tuple[Slice, ...]]


def plan(sources: Iterable[str | Path], recipe: Recipe) -> Plan:
    """The slices of each shard. Reads every file once, keeps none of it."""
    inputs: list[Input] = []
    shards: list[tuple[Slice, ...]] = []
    open_slices: list[Slice] = []
    used = 0
    for index, source in enumerate(sources):
        path = Path(source).absolute()
        digest = hashlib.sha256()
        for unit in _units(path, recipe, digest):
            if used and used + unit.bytes > recipe.shard_bytes:
                shards.append(tuple(open_slices))
                open_slices, used = [], 0
            used += unit.bytes
            last = open_slices[-1] if open_slices else None
            if last and last.file == index and last.stop == unit.start:
                open_slices[-1] = last._replace(stop=unit.stop)
            else:
                open_slices.append(Slice(index, str(source), str(path), unit.start, unit.stop, unit.line))
        inputs.append(Input(str(source), path.stat().st_size, digest.hexdigest()))
    return Plan(inputs, [*shards, tuple(open_slices)] if open_slices else shards)


def _units(path: Path, recipe: Recipe, digest: Any) -> Iterator[Unit]:
    if path.suffix not in (PARQUET, *JSON_LINES):
        known = ", ".join((PARQUET, *JSON_LINES))
        raise ShardError(str(path), f"expected a file whose name ends in one of {known}")
    step = max(1, min(_BLOCK, recipe.shard_bytes // 4))
    try:
        with path.open("rb") as file:
            if path.suffix == PARQUET:
                while block := file.read(_BLOCK):
                    digest.update(block)
            else:
                yield from _whole_lines(file, step, digest)
    except OSError as problem:
        raise ShardError(str(path), problem.strerror or str(problem)) from None
    if path.suffix == PARQUET:
        yield from _row_ranges(path, recipe.column, step)


def _whole_lines(file: BinaryIO, step: int, digest: Any) -> Iterator[Unit]:
    """Units of about `step` bytes that end where a line does. A line may be longer than the memory."""
    start, line = 0, 1
    while block := file.read(step):
        stop, lines = start, 0
        while block:
            digest.update(block)
            stop += len(block)
            lines += block.count(b"\n")
            block = b"" if block.endswith(b"\n") else file.readline(_BLOCK)
        yield Unit(start, stop, line, stop - start)
        start, line = stop, line + lines


def _row_ranges(path: Path, column: str, step: int) -> Iterator[Unit]:
    """Units of about `step` bytes, as the table's own statistics have it."""
    with open_parquet(path) as table:
        names = table.schema_arrow.names
        if column not in names:
            raise ShardError(str(path), f"expected a column {column!r}; there are {', '.join(names)}")
        start = 0
        for number in range(table.metadata.num_row_groups):
            group = table.metadata.row_group(number)
            each = max(1, group.total_byte_size // max(1, group.num_rows))
            rows = max(1, step // each)
            for first in range(0, group.num_rows, rows):
                count = min(rows, group.num_rows - first)
                yield Unit(start + first, start + first + count, start + first + 1, count * each)
            start += group.num_rows
