"""The examples in every command's --help run, in a folder that holds what they name."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from harmony_py import load_harmony_encoding
from harmony_py.cli import COMMANDS

ROOT = Path(__file__).parents[2]

EXAMPLE = re.compile(r"^  (\S.*)$", re.MULTILINE)

ENDLESS = frozenset({"serve", "inspector"})
"""Commands that run until they are stopped: tests of their own start them."""

ELSEWHERE = ("~/models/", "http://", "--impl")
"""Signs of an example that needs what a test has not: weights, a server, minutes."""


def examples(name: str) -> list[str]:
    text = importlib.import_module(f"harmony_py.cli.{name}").__doc__ or ""
    lines = [line for line in EXAMPLE.findall(text) if f"harmony-py {name}" in line]
    return [line for line in lines if not any(sign in line for sign in ELSEWHERE)]


RUNNABLE = [(name, line) for name in COMMANDS if name not in ENDLESS for line in examples(name)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples name, and the command itself."""
    folder = tmp_path_factory.mktemp("examples")
    encode = load_harmony_encoding().encode
    answer = "<|channel|>final<|message|>Hi.<|return|>"
    prompt = "<|start|>user<|message|>Hello<|end|><|start|>assistant"
    files = {
        "README.md": "# Some words\n",
        "corpus.txt": "Some words\n" * 100,
        "ids.json": json.dumps(encode(answer, allowed_special="all")),
        "prompt-and-answer.json": json.dumps(encode(prompt + answer, allowed_special="all")),
        "conversation.json": json.dumps({"messages": [{"role": "user", "content": "Hi"}]}),
        "conversations.jsonl": json.dumps({"messages": [{"role": "user", "content": "Hi"}]}) + "\n",
        "harmony-py": f'#!/bin/sh\nexec "{sys.executable}" -m harmony_py "$@"\n',
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "harmony-py").chmod(0o755)
    chats = pyarrow.table({"messages": [[{"role": "user", "content": "Hi"}]]})
    pyarrow.parquet.write_table(chats, folder / "chats.parquet")
    return folder


def test_every_command_has_an_example_that_runs() -> None:
    assert {name for name, _ in RUNNABLE} == set(COMMANDS) - ENDLESS


@pytest.mark.parametrize(("name", "line"), RUNNABLE, ids=[line for _, line in RUNNABLE])
def test_an_example_runs(folder: Path, name: str, line: str) -> None:
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "HOME": str(folder),
    }
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=200,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    if "--json" in line and ">" not in line.partition("--json")[2]:
        assert [json.loads(text) for text in ran.stdout.splitlines()]
