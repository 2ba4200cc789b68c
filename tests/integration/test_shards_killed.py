"""A run that was killed goes on where it was, and leaves the bytes of one that never was."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harmony_py.engines.shards import Recipe, make_shards, verify
from harmony_py.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPE = Recipe(length=64, pack=True, shard_bytes=4000)

KILLED_AT = """
import os, signal, sys
from harmony_py.engines.shards import make_shards, Recipe
import pathlib

countdown = int(sys.argv[3])

def dying(call):
    def wrapped(*arguments, **options):
        global countdown
        countdown -= 1
        if countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return wrapped

for module, name in [(os, "replace"), (os, "fsync"), (os, "open"), (pathlib.Path, "mkdir"), (os, "unlink")]:
    setattr(module, name, dying(getattr(module, name)))
make_shards([sys.argv[1]], sys.argv[2], Recipe(length=64, pack=True, shard_bytes=4000))
print(-countdown)
"""
"""Kills itself before the step that is asked for: a step is what changes the disk. Else tells how many steps
are left."""


def conversation(number: int) -> str:
    said = "word " * (number % 23)
    messages = [
        {"role": "user", "content": f"{number}: {said}"},
        {"role": "assistant", "channel": "final", "content": f"So {number}."},
    ]
    return json.dumps({"messages": messages if number % 40 else None})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "in.jsonl"
    path.write_text("".join(conversation(number) + "\n" for number in range(200)), encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def unbroken(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("unbroken") / "out"
    manifest = make_shards([source], folder, RECIPE)
    assert len(manifest["shards"]) > 5
    assert manifest["counts"]["errors"] == 5
    return contents(folder)


def steps_until_killed(source: Path, folder: Path, step: int) -> int | None:
    """None if the run was killed before `step`, else how many steps it took."""
    command = [sys.executable, "-c", KILLED_AT, str(source), str(folder), str(step)]
    ended = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr.decode()
    return None if ended.returncode else step + int(ended.stdout)


@pytest.fixture(scope="module")
def all_steps(source: Path, tmp_path_factory: pytest.TempPathFactory, unbroken: dict[str, bytes]) -> int:
    folder = tmp_path_factory.mktemp("counted") / "out"
    steps = steps_until_killed(source, folder, 10_000)
    assert steps is not None
    assert steps > 50
    assert contents(folder) == unbroken
    return steps


def test_killed_again_and_again_it_goes_on(
    source: Path, tmp_path: Path, unbroken: dict[str, bytes], all_steps: int
) -> None:
    folder, chosen = tmp_path / "out", [random.randint(1, all_steps // 3) for _ in range(5)]
    for step in chosen:
        steps_until_killed(source, folder, step)
        if not (folder / "manifest.json").exists():
            with pytest.raises(ShardError, match=r"manifest\.json: No such file"):
                verify(folder)
    make_shards([source], folder, RECIPE)
    assert contents(folder) == unbroken, chosen
    verify(folder)


@pytest.mark.parametrize("back", [0, 3, 12])
def test_killed_while_it_cleans_up(
    source: Path, tmp_path: Path, unbroken: dict[str, bytes], all_steps: int, back: int
) -> None:
    folder = tmp_path / "out"
    assert steps_until_killed(source, folder, all_steps - back) is None
    assert contents(folder) != unbroken
    make_shards([source], folder, RECIPE)
    assert contents(folder) == unbroken


def wait_for(found: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


def children_of(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task")
    found = [path / "children" for path in tasks.iterdir()]
    return [int(word) for path in found for word in path.read_text("ascii").split()]


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_killed_with_its_workers_at_work(tmp_path: Path) -> None:
    source, folder = tmp_path / "in.jsonl", tmp_path / "out"
    source.write_text("".join(conversation(number) + "\n" for number in range(1500)), encoding="utf-8")
    options = ["--length", "64", "--pack", "--shard-mib", str(4000 / 2**20), "--jobs", "2"]
    command = [sys.executable, "-m", "harmony_py", "shards", *options, str(source), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            wait_for(lambda: any(folder.glob("unfinished/0*.json")) or process.poll() is not None)
            workers = children_of(process.pid)
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(ShardError, match="another run is at work"):
                make_shards([source], folder, RECIPE)
        finally:
            process.kill()
    assert len(workers) >= 2
    wait_for(lambda: not any(map(is_running, workers)))
    assert not (folder / "manifest.json").exists()
    make_shards([source], folder, RECIPE, jobs=2)
    make_shards([source], tmp_path / "unbroken", RECIPE)
    assert contents(folder) == contents(tmp_path / "unbroken")
