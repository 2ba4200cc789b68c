"""The example of `constrain` draws sound calls, whatever the seed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "constrained.py"


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_example_calls_the_tool(seed: str) -> None:
    ran = subprocess.run([sys.executable, SCRIPT, seed], capture_output=True, encoding="utf-8", check=True)
    arguments = ast.literal_eval(ran.stdout.splitlines()[-1].removeprefix("  arguments: "))
    assert arguments["city"] in ("Łódź", "São Paulo", "東京")
    assert 1 <= arguments.get("days", 1) <= 14
    assert "  commentary to functions.weather: " in ran.stdout
