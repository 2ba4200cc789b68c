"""Timing that stands up: interleaved repeats, one process for each thing measured, pinned to a core.

Nothing here knows what is measured; `tokenizer`, `render` and `parse` share it.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent


class Seconds(NamedTuple):
    """One measured call. On a quiet machine both are equal for one thread; on a busy one trust `cpu`."""

    wall: float
    cpu: float


def timed(call: Callable[[], T]) -> tuple[Seconds, T]:
    """Run `call` once, without the garbage collector looking in; freeing the result is the caller's time."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        result = call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    finally:
        if was_enabled:
            gc.enable()
    return Seconds(wall, cpu), result


def pin(cores: int = 1) -> None:
    """Keep this process on its last `cores` cores, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])


class ProcessError(Exception):
    """What a measured process did instead of answering: `crash`, `hang` or `error`, and its last words."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(f"{kind}: {words}" if words else kind)
        self.kind = kind


def in_process(
    module: str, job: Mapping[str, Any], *, timeout: float = 120, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What `python -m module` answers to `job`, both JSON, in a process of its own; else `ProcessError`."""
    command = [sys.executable, "-m", module, json.dumps(job)]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProcessError("hang", f"no answer in {timeout:.0f} s") from None
    words = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode < 0:
        raise ProcessError("crash", f"signal {-done.returncode} {words}")
    if done.returncode:
        raise ProcessError("panic" if "PanicException" in words else "error", words)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def rounds(names: Sequence[str], repeats: int) -> list[str]:
    """The order in which to run `names` so that repeats are interleaved: a, b, c, a, b, c, ..."""
    return [name for _ in range(repeats) for name in names]
