"""Shards made by several processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from harmony_py.engines.shards.build import build
from harmony_py.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harmony_py.engines.shards.build import Task


def in_processes(jobs: int) -> Callable[[Sequence[Task]], Iterator[None]]:
    """Makes shards in so many processes at once; with one job in this process."""
    if jobs < 1:
        raise ShardError("jobs", f"expected at least one, got {jobs}")

    def work(tasks: Sequence[Task]) -> Iterator[None]:
        if min(jobs, len(tasks)) < 2:
            yield from map(build, tasks)
        else:
            yield from _pooled(tasks, min(jobs, len(tasks)))

    return work


def _pooled(tasks: Sequence[Task], jobs: int) -> Iterator[None]:
    # Started anew and not forked: the caller may have threads, and a fork of those may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_end_with_parent) as pool:
        try:
            for made in as_completed([pool.submit(build, task) for task in tasks]):
                yield made.result()
        except BrokenProcessPool:
            reason = "a process was killed, perhaps for want of memory; the same run goes on where it stopped"
            raise ShardError("jobs", reason) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Else a worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this runs in a child

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
