"""One shard, from its part of the input to its files: a function that is the same on every machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.chat import Role
from harmony_py.engines.shards.conversations import columns, read_conversation
from harmony_py.engines.shards.counts import counted, lengths
from harmony_py.engines.shards.files import Written, write_json, write_whole
from harmony_py.engines.shards.layout import Shard, Source, laid_out
from harmony_py.engines.shards.npy import write_npy
from harmony_py.engines.shards.parquet import write_parquet
from harmony_py.engines.shards.records import records
from harmony_py.engines.shards.samples import samples
from harmony_py.format.encoding import load_harmony_encoding

if TYPE_CHECKING:
    from harmony_py.chat import Message
    from harmony_py.engines.shards.plan import Slice
    from harmony_py.engines.shards.recipe import Recipe
    from harmony_py.engines.shards.records import Record

UNFINISHED: Final = "unfinished"
"""The folder in the shards' own that is there while they are made."""

_WRITERS: Final = {"npy": write_npy, "parquet": write_parquet}


class Task(NamedTuple):
    """A shard to make. It goes to other processes and machines: plain data, absolute paths."""

    number: int
    slices: tuple[Slice, ...]
    recipe: Recipe
    folder: str

    @property
    def stem(self) -> Path:
        """The path of the shard's files, without what their names end in."""
        return Path(self.folder) / f"shard-{self.number:05}"

    @property
    def report(self) -> Path:
        """Where the shard's numbers are written, last of all: then it is made."""
        return Path(self.folder) / UNFINISHED / f"{self.number:05}.json"

    @property
    def errors(self) -> Path:
        return self.report.with_suffix(".errors.jsonl")


def build(task: Task) -> None:
    """Make a shard: its files, its errors, its report. Doing it again writes the same bytes again."""
    shard, told, errors = made(task)
    scratch = task.report.parent
    files: dict[str, Written] = {}
    if shard.samples:
        files = _WRITERS[task.recipe.format](task.stem, shard, scratch)
    if errors:
        write_whole(task.errors, [line.encode() + b"\n" for line in errors], scratch)
    report = {
        "name": task.stem.name,
        "counts": {**told, **counted(shard)},
        "lengths": lengths(shard),
        "files": {name: written._asdict() for name, written in files.items()},
    }
    write_json(task.report, report, scratch)


def made(task: Task) -> tuple[Shard, dict[str, int], list[str]]:
    """The shard, the counts that it does not show itself, and its errors as JSON."""
    recipe, encoding = task.recipe, load_harmony_encoding()
    wanted = columns(recipe.form, recipe.column)
    sources: list[Source] = []
    errors: list[str] = []
    counts = dict.fromkeys(("records", "errors", "conversations", "channelless", "cut"), 0)
    for piece in task.slices:
        for record in records(piece, wanted):
            counts["records"] += 1
            try:
                if record.problem is not None:
                    raise ValueError(record.problem)
                talk = read_conversation(record.value, recipe.form, recipe.column)
                found = list(samples(talk, encoding, recipe))
            except MemoryError:
                raise
            except Exception as problem:  # whatever a record does, it is not to stop the others
                counts["errors"] += 1
                errors.append(json.dumps(_told(piece.name, record, problem)))
                continue
            counts["conversations"] += 1
            counts["channelless"] += any(map(_is_channelless, talk.messages))
            counts["cut"] += any(each.cut for each in found)
            sources += [Source(each, piece.file, record.line, part) for part, each in enumerate(found)]
    return laid_out(sources, recipe.length if recipe.pack else None), counts, errors


def _is_channelless(message: Message) -> bool:
    return message.author.role == Role.ASSISTANT and message.channel is None


def _told(file: str, record: Record, problem: Exception) -> dict[str, Any]:
    kind = type(problem).__name__
    return {"file": file, "line": record.line, "error": str(problem), "kind": kind, "raw": record.raw}
