"""All shards of a folder: planned, made by whoever makes them, and finished with a manifest.

A folder is whole when its `manifest.json` is there, which is written last. Before that, `unfinished/` says
what the run is and which shards are made; the same run goes on from there, whatever stopped it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from harmony_py.engines.shards.build import UNFINISHED, Task
from harmony_py.engines.shards.counts import NAMES, summed
from harmony_py.engines.shards.files import read_json, write_json, write_whole
from harmony_py.engines.shards.parquet import pyarrow
from harmony_py.engines.shards.plan import PARQUET, plan
from harmony_py.engines.shards.processes import in_processes
from harmony_py.engines.shards.recipe import Recipe
from harmony_py.errors import ShardError
from harmony_py.tokenizer import special, vocab
from harmony_py.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Workers: TypeAlias = Callable[[Sequence[Task]], Iterable[object]]
    """Makes the shards, each with `build`, in any order, and yields when one is made."""
    Progress: TypeAlias = Callable[[int, int], object]

FORMAT: Final = "harmony_py shards 1"
MANIFEST: Final = "manifest.json"
ERRORS: Final = "errors.jsonl"
_PLAN: Final = "plan.json"
_LOCK: Final = "lock"


def make_shards(
    sources: Iterable[str | Path],
    folder: str | Path,
    recipe: Recipe | None = None,
    *,
    jobs: int = 1,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make the shards of all conversations in `sources`, and return the manifest.

    The same input and recipe give the same bytes, whatever the number of `jobs` (processes), and whether or
    not the run was ever stopped: call it again and it goes on. Another recipe, or input that has changed, is
    refused. A record that is no conversation is written to `errors.jsonl` and stops nothing. `progress` is
    told how many shards are made, of how many.
    """
    recipe = recipe or Recipe()
    out = Path(folder).absolute()
    inputs, shards = plan(sources, recipe)
    identity = _identity(recipe, [each._asdict() for each in inputs])
    if (out / MANIFEST).exists():
        manifest = read_json(out / MANIFEST)
        _compare(out, manifest, identity)
        if lost := [each["name"] for each in manifest["shards"] if not _is_there(out, each["files"])]:
            raise ShardError(
                str(out), f"the manifest is there, but {lost[0]} is not whole; delete the folder"
            )
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
        return manifest
    tasks = [Task(number, slices, recipe, str(out)) for number, slices in enumerate(shards)]
    with _opened(out, identity):
        missing = [task for task in tasks if not _is_made(task)]
        _tell(progress, len(tasks) - len(missing), len(tasks))
        for count, _ in enumerate((workers or in_processes(jobs))(missing), len(tasks) - len(missing) + 1):
            _tell(progress, count, len(tasks))
        return _finish(out, identity, tasks)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None and total:
        progress(done, total)


def _identity(recipe: Recipe, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """All that decides the bytes of the shards."""
    uses_arrow = recipe.format == "parquet" or any(each["file"].endswith(PARQUET) for each in inputs)
    return {
        "format": FORMAT,
        "harmony_py": __version__,
        "pyarrow": pyarrow().__version__ if uses_arrow else None,
        "tokenizer": {"name": "o200k_harmony", "sha256": vocab.SHA256, "tokens": special.N_VOCAB},
        "recipe": recipe.to_dict(),
        "inputs": inputs,
    }


def _compare(out: Path, found: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse to go on where something else was begun."""
    for name, now in identity.items():
        before = found.get(name)
        if before == now:
            continue
        if name == "recipe" and isinstance(before, dict):
            name = next(key for key in {**before, **now} if before.get(key) != now.get(key))
            before, now = before.get(name), now.get(name)
        reason = f"{name} is {before!r} there, {now!r} here"
        if name == "inputs" and isinstance(before, list):
            changed = [each["file"] for each in now if each not in before]
            reason = f"the input {changed[0]!r} is not what it was" if changed else "it has other inputs"
        raise ShardError(str(out), f"shards of another run: {reason}; choose another folder, or delete it")


@contextlib.contextmanager
def _opened(out: Path, identity: dict[str, Any]) -> Iterator[None]:
    """The folder, ready to go on and for nobody else, or refused."""
    scratch = out / UNFINISHED
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        lock = os.open(scratch / _LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as problem:
        raise ShardError(str(out), problem.strerror or str(problem)) from None
    try:
        _lock(lock, out)
        if (scratch / _PLAN).exists():
            _compare(out, read_json(scratch / _PLAN), identity)
        elif others := sorted({path.name for path in out.iterdir()} - {UNFINISHED}):
            raise ShardError(str(out), f"expected an empty folder; it holds {others[0]!r}")
        else:
            write_json(scratch / _PLAN, identity, scratch)
        yield
    finally:
        os.close(lock)


def _lock(handle: int, out: Path) -> None:
    """Hold the lock until the process ends, however it does. Where the system has none, trust the user."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ShardError(str(out), "another run is at work in it") from None


def _is_made(task: Task) -> bool:
    return task.report.exists() and _is_there(Path(task.folder), read_json(task.report)["files"])


def _is_there(folder: Path, files: dict[str, Any]) -> bool:
    return all(
        (folder / name).is_file() and (folder / name).stat().st_size == written["bytes"]
        for name, written in files.items()
    )


def _finish(out: Path, identity: dict[str, Any], tasks: Sequence[Task]) -> dict[str, Any]:
    """Write errors and manifest, and clean up."""
    if lost := [task.stem.name for task in tasks if not _is_made(task)]:
        raise ShardError(str(out), f"{lost[0]} was made, but is not there: do all workers see this folder?")
    scratch = out / UNFINISHED
    reports = [read_json(task.report) for task in tasks]
    errors = [task.errors for task in tasks if task.errors.exists()]
    written = write_whole(out / ERRORS, map(Path.read_bytes, errors), scratch) if errors else None
    manifest = {
        **identity,
        "counts": summed((report["counts"] for report in reports), NAMES),
        "lengths": summed(report["lengths"] for report in reports),
        "errors": {ERRORS: written._asdict()} if written else {},
        "shards": [report for report in reports if report["files"]],
    }
    write_json(out / MANIFEST, manifest, scratch)
    shutil.rmtree(scratch, ignore_errors=True)  # what is left of it goes with the next call
    return manifest
