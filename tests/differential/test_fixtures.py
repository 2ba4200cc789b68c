"""The golden files are what their oracles say, and our parser reads the streams as they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harmony_py.format.parse import StreamableParser
from harmony_py.testing.adapters import load
from harmony_py.testing.implementation import Fields
from tests import regenerate

ROOT = Path(__file__).parents[2]
STREAMS = json.loads((regenerate.GOLDEN / "streams.json").read_text("utf-8"))


@pytest.mark.parametrize("name", regenerate.FILES)
def test_a_file_is_what_the_command_would_write(name: str) -> None:
    assert regenerate.fresh(name, load("openai_harmony")) == (regenerate.GOLDEN / name).read_text("utf-8")


def test_every_file_has_its_source() -> None:
    sources = (regenerate.GOLDEN / "SOURCES.md").read_text("utf-8")
    files = {path.name for path in regenerate.GOLDEN.glob("*.json")}
    assert files == set(regenerate.FILES)
    assert all(f"`{name}`" in sources for name in files)


def test_there_is_a_stream_of_every_pattern() -> None:
    patterns = {case["what"].partition(":")[0] for case in STREAMS}
    assert {f"M{i}" for i in range(1, 28)} <= patterns


@pytest.mark.parametrize("case", STREAMS, ids=[f"{i}-{case['what']}" for i, case in enumerate(STREAMS)])
def test_streams(case: dict[str, object]) -> None:
    tokens, role, expected = case["tokens"], case["role"], case["harmony_py"]
    parser = StreamableParser(None, role, policy="recover", tools=case.get("tools"))  # type: ignore[arg-type]
    for token in tokens:  # type: ignore[attr-defined]
        parser.process(token)
    parser.process_eos()
    assert [Fields.of(message).plain() for message in parser.messages] == expected["recovered"]  # type: ignore[index]
    assert [each.code for each in parser.diagnostics] == expected["diagnostics"]  # type: ignore[index]


def test_the_command_runs() -> None:
    before = {path: path.read_bytes() for path in regenerate.GOLDEN.iterdir()}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.regenerate"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == [f"{name}: as it was" for name in regenerate.FILES]
    assert {path: path.read_bytes() for path in regenerate.GOLDEN.iterdir()} == before
