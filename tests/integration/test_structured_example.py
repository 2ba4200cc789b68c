"""The example of structured output: whatever the toy thinks of it, it keeps to the form."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "structured_output.py"


def test_the_example_keeps_to_the_form() -> None:
    ran = subprocess.run(
        [sys.executable, SCRIPT, "What is 2 + 2?"], capture_output=True, encoding="utf-8", check=True
    )
    lines = ran.stdout.splitlines()
    assert "  freely  final: 2 + 2 = 4." in lines
    [called] = [line for line in lines if line.startswith("  tool    commentary to functions.get_weather: ")]
    assert json.loads(called.partition(": ")[2])["city"] in ("Oslo", "Tokyo", "Lima")
    [answer] = [line for line in lines if line.startswith("  json    final: ")]
    found = json.loads(answer.partition(": ")[2])
    assert 0 <= found["sum"] <= 10
    assert isinstance(found["sure"], bool)
    [answer] = [line for line in lines if line.startswith("  pattern final: ")]
    assert re.fullmatch("[0-9]|10", answer.partition(": ")[2])
