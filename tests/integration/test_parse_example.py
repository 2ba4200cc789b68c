"""The example that shows recovery runs, and shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_example_shows_what_is_refused_and_what_is_recovered() -> None:
    script = Path(__file__).parents[2] / "examples" / "recover.py"
    ran = subprocess.run([sys.executable, script, "M10"], capture_output=True, encoding="utf-8", check=True)
    assert "strict    Unexpected token 200005 while expecting start token 200006" in ran.stdout
    assert "recover   assistant, commentary to functions.get_weather: '{}'" in ran.stdout
    assert "missing_start in tokens 6..7" in ran.stdout
    everything = subprocess.run([sys.executable, script], capture_output=True, encoding="utf-8", check=True)
    assert everything.stdout.count("\n    '") > 50
