"""Shards read back, and shards looked over: is everything there, and is it what it should be?"""

from __future__ import annotations

from array import array
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.engines.shards.counts import counted, lengths, summed
from harmony_py.engines.shards.files import read_json, sha256_of
from harmony_py.engines.shards.layout import IGNORED, PADDING, Bounds, Shard
from harmony_py.engines.shards.npy import read_npy
from harmony_py.engines.shards.parquet import read_parquet
from harmony_py.engines.shards.recipe import Recipe
from harmony_py.engines.shards.run import FORMAT, MANIFEST
from harmony_py.errors import ParseError, ShardError
from harmony_py.format.parse import parse
from harmony_py.tokenizer.special import N_VOCAB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READERS: Final = {"npy": read_npy, "parquet": read_parquet}


class Row(NamedTuple):
    """A row of a shard. Views of the file, not copies: `numpy.asarray` and `torch.frombuffer` take them."""

    ids: memoryview
    mask: memoryview[int] | memoryview[bool]
    """For each id whether it is trained on."""
    samples: list[Bounds]
    """Where in the row the samples are. What is behind the last is padding."""

    def labels(self) -> array[int]:
        """The ids that are trained on, and -100 for all others. Not shifted: most trainers do that."""
        return array("q", (token if wanted else IGNORED for token, wanted in zip(*self[:2], strict=True)))

    def positions(self) -> array[int]:
        """The place of each id in its sample: a model that gets them sees where a sample begins."""
        return array("q", (place for start, stop in self.sequences() for place in range(stop - start)))

    def sequences(self) -> list[tuple[int, int]]:
        """Where the samples begin and end; padding is one more."""
        found = [(sample.start, sample.stop) for sample in self.samples]
        end = found[-1][1] if found else 0
        return found if end == len(self.ids) else [*found, (end, len(self.ids))]


def read_shards(folder: str | Path) -> Iterator[Row]:
    """The rows of all shards in a folder, in order."""
    out = Path(folder)
    with _blaming(out / MANIFEST):
        for shard in _shards(out, _manifest(out)):
            yield from _rows(shard)


def _rows(shard: Shard) -> Iterator[Row]:
    place = 0
    for start, stop in shard.rows():
        first = place
        while place < len(shard.samples) and shard.samples[place].stop <= stop:
            place += 1
        inside = [
            each._replace(start=each.start - start, stop=each.stop - start)
            for each in shard.samples[first:place]
        ]
        yield Row(memoryview(shard.ids)[start:stop], memoryview(shard.mask)[start:stop], inside)


def _manifest(folder: Path) -> dict[str, Any]:
    manifest = read_json(folder / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise ShardError(str(folder / MANIFEST), f"expected {FORMAT!r}, found {manifest.get('format')!r}")
    return manifest


def _shards(folder: Path, manifest: dict[str, Any]) -> Iterator[Shard]:
    recipe = Recipe.from_dict(manifest["recipe"])
    read = _READERS[recipe.format]
    for shard in manifest["shards"]:
        yield read(folder / Path(shard["name"]).name, recipe.length if recipe.pack else None)


# -- looking over ------------------------------------------------------------------------------------------


def verify(folder: str | Path, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
    """Read everything back, and return the manifest; `ShardError` at the first thing that is wrong.

    Every file has the bytes that the manifest says, every number counts up, every sample is whole messages
    that the strict parser reads, and nothing is trained on that nothing foretells.
    """
    out = Path(folder)
    with _blaming(out / MANIFEST):
        return _verified(out, _manifest(out), progress)


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """What is not in a manifest as we write it is its fault."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as problem:
        raise ShardError(str(path), f"no manifest of ours: {problem!r}") from None


def _verified(
    out: Path, manifest: dict[str, Any], progress: Callable[[int, int], object] | None
) -> dict[str, Any]:
    told = manifest["shards"]
    for files in (manifest["errors"], *(each["files"] for each in told)):
        _check_files(out, files)
    for number, (each, shard) in enumerate(zip(told, _shards(out, manifest), strict=True), 1):
        _check_shard(str(out / each["name"]), each, shard)
        if progress is not None:
            progress(number, len(told))
    if manifest["lengths"] != summed(each["lengths"] for each in told):
        raise ShardError(str(out / MANIFEST), "lengths: not the sum of the shards'")
    for name in ("samples", "untrained", "rows", "tokens", "trained", "padding"):
        if manifest["counts"][name] != sum(each["counts"][name] for each in told):
            raise ShardError(str(out / MANIFEST), f"counts, {name}: not the sum of the shards'")
    return manifest


def _check_files(folder: Path, files: dict[str, Any]) -> None:
    for name, written in files.items():
        path = folder / Path(name).name
        try:
            found = sha256_of(path)
        except OSError as problem:
            raise ShardError(str(path), problem.strerror or str(problem)) from None
        if found != written["sha256"]:
            raise ShardError(str(path), f"expected sha256 {written['sha256']}, found {found}")


def _check_shard(where: str, told: dict[str, Any], shard: Shard) -> None:
    place = 0
    for number, (start, stop) in enumerate(shard.rows()):
        row = f"{where}, row {number}"
        while place < len(shard.samples) and shard.samples[place].start < stop:
            bounds = shard.samples[place]
            if bounds.start != start or not start < bounds.stop <= stop:
                raise ShardError(row, f"expected a sample from {start} up to {stop}, found {bounds}")
            _check_sample(f"{row}, sample {place}", shard, bounds)
            start, place = bounds.stop, place + 1
        padding = shard.ids[start:stop]
        if any(token != PADDING for token in padding) or any(shard.mask[start:stop]):
            raise ShardError(row, "expected nothing but padding behind its samples, and no loss on it")
    for name, count in counted(shard).items():
        if told["counts"][name] != count:
            raise ShardError(where, f"{name}: the manifest says {told['counts'][name]}, there are {count}")
    if told["lengths"] != lengths(shard):
        raise ShardError(where, f"lengths: the manifest says {told['lengths']}, found {lengths(shard)}")


def _check_sample(where: str, shard: Shard, bounds: Bounds) -> None:
    if shard.mask[bounds.start]:
        raise ShardError(where, "its first token is trained on, which nothing foretells")
    ids = list(shard.ids[bounds.start : bounds.stop])
    if not 0 <= min(ids) <= max(ids) < N_VOCAB:
        raise ShardError(where, f"expected ids from 0 to {N_VOCAB - 1}, found {min(ids)} to {max(ids)}")
    try:
        result = parse(ids, None)
    except ParseError as problem:
        raise ShardError(where, f"{problem} (line {bounds.line} of input {bounds.file})") from None
    if result.pending:
        raise ShardError(where, "it ends within a message")
