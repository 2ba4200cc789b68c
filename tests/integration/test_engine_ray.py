"""A real Ray of this machine makes the shards that one process makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harmony_py.engines.shards import Recipe, make_shards, verify
from harmony_py.engines.shards.build import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harmony_py.engines.shards.build import Task

SCRIPT = """
import json, os, sys, warnings
warnings.simplefilter("error")
from harmony_py.engines.ray import make_shards, started
from harmony_py.engines.shards import Recipe
from harmony_py.errors import ShardError

jobs = json.loads(sys.stdin.read())
sources, folder, recipe = jobs[0]
told = []

def shorten(done, total):
    os.truncate(sources[0], 10)

with started() as ray:
    for each in jobs:
        make_shards(each[0], each[1], Recipe.from_dict(each[2]), progress=lambda *done: told.append(done))
    running = ray.is_initialized()
    try:
        make_shards(sources, folder + "-short", Recipe.from_dict(recipe), progress=shorten)
    except ShardError as error:
        problem = str(error)
running = [running, ray.is_initialized()]
print(json.dumps({"told": told, "problem": problem, "running": running}))
"""

SMALL = {"RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": str(80 * 2**20)}


@pytest.fixture
def temporary() -> Iterator[str]:
    """Ray's own folder: not below pytest's, whose path is too long for the sockets in it."""
    folder = tempfile.mkdtemp(prefix="ray-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def conversation(number: int) -> dict[str, object]:
    answer = {"role": "assistant", "content": "Yes. " * (number % 9)} if number % 25 else {"role": "nobody"}
    return {"messages": [{"role": "user", "content": f"Is {number} even?"}, answer]}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def interrupted(tasks: Sequence[Task]) -> Iterator[None]:
    yield build(tasks[0])
    raise KeyboardInterrupt


def test_ray_makes_the_same_shards(tmp_path: Path, temporary: str) -> None:
    lines, table = tmp_path / "in.jsonl", tmp_path / "in.parquet"
    conversations = [conversation(number) for number in range(1, 101)]
    lines.write_text("".join(json.dumps(each) + "\n" for each in conversations), "utf-8")
    written = [json.dumps(each["messages"]) for each in conversations]
    pq.write_table(pa.table({"messages": written}), table, row_group_size=30)
    recipes = [
        Recipe(form="chat", length=256, pack=True, shard_bytes=4000),
        Recipe(form="chat", shard_bytes=4000, format="parquet"),
    ]
    for number, recipe in enumerate(recipes):
        make_shards([lines, table], tmp_path / f"alone-{number}", recipe)
    jobs = [
        ([str(lines), str(table)], str(tmp_path / f"ray-{number}"), recipe.to_dict())
        for number, recipe in enumerate(recipes)
    ]
    # The second run was begun without Ray.
    with pytest.raises(KeyboardInterrupt):
        make_shards([lines, table], tmp_path / "ray-1", recipes[1], workers=interrupted)
    environment = {**os.environ, **SMALL, "RAY_TMPDIR": temporary}
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        try:
            out, err = process.communicate(json.dumps(jobs), timeout=180)
        finally:
            process.kill()  # and with it all that Ray has started: so it does on Linux
    assert process.returncode == 0, err
    found = json.loads(out)
    for number in range(len(recipes)):
        verify(tmp_path / f"ray-{number}")
        assert contents(tmp_path / f"ray-{number}") == contents(tmp_path / f"alone-{number}")
    assert [done for done, _ in found["told"] if done < 2] == [0, 1, 1]
    assert max(total for _, total in found["told"]) > 3
    assert "in.jsonl: expected" in found["problem"]
    assert found["running"] == [True, False]
    assert err == ""
