"""Training shards made by Ray Data: on this machine, or on as many as a cluster has.

Ray only spreads the work. A shard is made by the same function as without it, so the bytes are the same, and
a run that was stopped goes on with Ray or without. All machines must see input and output under the same
paths.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import pickle
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from harmony_py.engines.shards.build import Task, build
from harmony_py.engines.shards.run import make_shards as make
from harmony_py.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from harmony_py.engines.shards.recipe import Recipe
    from harmony_py.engines.shards.run import Progress

_MISSING: Final = "this needs Ray: pip install 'harmony-py[ray]'"


def make_shards(
    sources: Iterable[str | Path],
    folder: str | Path,
    recipe: Recipe | None = None,
    *,
    address: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """As `harmony_py.engines.shards.make_shards`, on Ray.

    A program that has started Ray keeps it as it is. Else this starts it, or joins the cluster at `address`
    or `$RAY_ADDRESS`, and leaves it again.
    """
    with started(address) as ray:
        return make(sources, folder, recipe, workers=partial(_spread, ray), progress=progress)


@contextlib.contextmanager
def started(address: str | None = None) -> Iterator[Any]:
    """Ray at work, for several runs in a row; as it is if the program has started it, else until the end."""
    try:
        with _quiet():
            ray = importlib.import_module("ray")
            importlib.import_module("ray.data")
    except ImportError:
        raise ImportError(_MISSING) from None
    if ray.is_initialized():
        yield ray
        return
    with _quiet():
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Ray's warnings about itself, and without its telling its makers of us."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _spread(ray: Any, tasks: Sequence[Task]) -> Iterator[object]:
    """Makes each shard somewhere, in any order."""
    if not tasks:
        return
    # It tells of every step, even of having been asked not to.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    with _quiet():
        context = ray.data.DataContext.get_current().copy()
        context.enable_progress_bars = False
        with ray.data.DataContext.current(context):
            rows = [{"task": pickle.dumps(task)} for task in tasks]
            made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(_make, num_cpus=1)
    for row in made.iter_rows():
        if row["reason"]:
            raise ShardError(row["where"], row["reason"])
        yield row


def _make(row: dict[str, Any]) -> dict[str, Any]:
    """Runs where Ray has room. Our errors come back as data: Ray would bury them in its own."""
    task: Task = pickle.loads(row["task"])
    try:
        build(task)
    except ShardError as problem:
        return {"where": problem.where, "reason": problem.reason}
    return {"where": task.stem.name, "reason": ""}
