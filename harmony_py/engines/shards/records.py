"""The records of a slice, one after the other: JSON lines or the rows of a table.

A record that cannot be read is still a record: it comes with its problem.
"""

from __future__ import annotations

import codecs
import json
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.engines.shards.parquet import open_parquet
from harmony_py.engines.shards.plan import PARQUET
from harmony_py.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from harmony_py.engines.shards.plan import Slice

LONGEST_LINE: Final = 64 * 2**20
"""Bytes. A line that is longer is no record but an accident, and is not read into memory."""

_SHOWN: Final = 1000
_ROWS: Final = 64


class Record(NamedTuple):
    line: int
    value: object
    raw: str
    """The record as it stands in the file; of a table its row as JSON."""
    problem: str | None = None
    """Why there is no value."""


def records(piece: Slice, columns: Sequence[str]) -> Iterator[Record]:
    """The records of `piece`, in order. Of a table only `columns` are read."""
    path = Path(piece.path)
    try:
        yield from _rows(path, piece, columns) if path.suffix == PARQUET else _lines(path, piece)
    except ShardError:
        raise
    except (OSError, ValueError) as problem:  # pyarrow's errors are one or the other
        raise ShardError(piece.path, str(problem)) from None


def _lines(path: Path, piece: Slice) -> Iterator[Record]:
    with path.open("rb") as file:
        file.seek(piece.start)
        place, number = piece.start, piece.line
        while place < piece.stop:
            line = file.readline(LONGEST_LINE + 1)
            size = len(line)
            if not line:
                raise ShardError(piece.path, f"expected {piece.stop} bytes, but it ends at byte {place}")
            if size > LONGEST_LINE:
                size += 0 if line.endswith(b"\n") else _skip_line(file)
                yield Record(number, None, _text(line[:_SHOWN]), _too_long(size))
            elif line.strip():
                yield _record(number, line.removeprefix(codecs.BOM_UTF8) if place == 0 else line)
            place, number = place + size, number + 1


def _skip_line(file: BinaryIO) -> int:
    """Read to the end of the line, and say how many bytes that were."""
    size = 0
    while rest := file.readline(LONGEST_LINE):
        size += len(rest)
        if rest.endswith(b"\n"):
            break
    return size


def _record(number: int, line: bytes) -> Record:
    try:
        return Record(number, json.loads(line.decode("utf-8")), _text(line))
    except UnicodeDecodeError as problem:
        return Record(number, None, _text(line), f"byte {problem.start} is not UTF-8: {problem.reason}")
    except (ValueError, RecursionError) as problem:
        return Record(number, None, _text(line), f"no JSON: {problem}")


def _too_long(size: int) -> str:
    return f"a line of {size} bytes, more than {LONGEST_LINE}; only its beginning is kept here"


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace").rstrip("\r\n")


def _rows(path: Path, piece: Slice, columns: Sequence[str]) -> Iterator[Record]:
    with open_parquet(path) as table:
        wanted = [name for name in columns if name in table.schema_arrow.names]
        groups, place = _groups(table.metadata, piece)
        for batch in table.iter_batches(_ROWS, row_groups=groups, columns=wanted, use_threads=False):
            for index in range(max(0, piece.start - place), min(batch.num_rows, piece.stop - place)):
                yield _row(place + index + 1, batch, index)
            place += batch.num_rows
            if place >= piece.stop:
                return
    raise ShardError(piece.path, f"expected {piece.stop} rows, but it ends at row {place}")


def _groups(metadata: Any, piece: Slice) -> tuple[list[int], int]:
    """The row groups that the slice is in, and the first row of the first of them."""
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    ends = list(accumulate(sizes))
    found = [
        number
        for number, (size, end) in enumerate(zip(sizes, ends, strict=True))
        if end > piece.start and end - size < piece.stop
    ]
    return found, ends[found[0]] - sizes[found[0]] if found else 0


def _row(number: int, batch: Any, index: int) -> Record:
    try:
        row = {name: batch.column(name)[index].as_py() for name in batch.schema.names}
    except (ValueError, OverflowError) as problem:
        return Record(number, None, "", f"the row cannot be read: {problem}")
    value = without_nulls(row)
    return Record(number, value, json.dumps(value, default=str))


def without_nulls(value: Any) -> Any:
    """`value` without the fields that are null: a table has every field of any row in every row."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value
