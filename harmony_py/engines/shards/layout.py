"""`Shard`: what a shard is, whatever it is written in."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from harmony_py.engines.shards.packing import pack
from harmony_py.tokenizer.special import END_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harmony_py.engines.shards.samples import Sample

PADDING: Final = END_OF_TEXT
"""What fills rows up. No sample holds it."""

IGNORED: Final = -100
"""The label of what is not trained on: torch's cross entropy passes over it."""

FIELDS: Final = ("start", "stop", "file", "line", "part")


class Bounds(NamedTuple):
    """A sample in a shard, or in a row: where its ids are, and where it comes from."""

    start: int
    stop: int
    """Exclusive."""
    file: int
    """Which of the manifest's inputs."""
    line: int
    """Of JSON lines the line, of a table the row; counted from one."""
    part: int
    """Which sample of that record it is; counted from zero."""


class Source(NamedTuple):
    """A sample, and where it comes from."""

    sample: Sample
    file: int
    line: int
    part: int


class Shard(NamedTuple):
    """Rows of ids, one behind the other."""

    ids: array[int] | memoryview
    mask: bytearray | memoryview[int] | memoryview[bool]
    """For each id whether it is trained on."""
    samples: Sequence[Bounds]
    """In order; together they are all ids but the padding at the ends of rows."""
    length: int | None
    """How long each row is; None: each sample is a row."""

    def rows(self) -> Iterator[tuple[int, int]]:
        """Where each row begins and ends."""
        if self.length is None:
            yield from (bounds[:2] for bounds in self.samples)
        else:
            yield from pairwise(range(0, len(self.ids) + 1, self.length))


def laid_out(sources: Sequence[Source], length: int | None) -> Shard:
    """The samples as a shard: in rows of `length` tokens, or each for itself."""
    ids, mask, bounds = array("i"), bytearray(), []
    lengths = [len(source.sample.ids) for source in sources]
    rows = [[index] for index in range(len(sources))] if length is None else pack(lengths, length)
    for number, row in enumerate(rows, 1):
        for sample, *origin in (sources[index] for index in row):
            start = len(ids)
            ids += sample.ids
            mask += sample.mask
            bounds.append(Bounds(start, len(ids), *origin))
        if length is not None:
            ids.extend([PADDING] * (number * length - len(ids)))
            mask += bytes(len(ids) - len(mask))
    return Shard(ids, mask, bounds, length)
