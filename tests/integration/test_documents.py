"""The documents' code blocks do what they say, and so does the example."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


DOCUMENTS = {
    str(path.relative_to(ROOT)): blocks
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    if (blocks := BLOCK.findall(path.read_text("utf-8")))
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_code_blocks(name: str) -> None:
    test = doctest.DocTestParser().get_doctest("".join(DOCUMENTS[name]), {}, name, name, 0)
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert result.attempted >= len(DOCUMENTS[name])
    assert result.failed == 0, "".join(report)


def test_the_example_shows_every_token_of_a_text() -> None:
    text = "<|start|>user<|message|>¿qué? 日本\n<|end|>"
    script = ROOT / "examples" / "show_tokens.py"
    ran = subprocess.run([sys.executable, script, text], capture_output=True, encoding="utf-8", check=True)
    *tokens, _, summary = ran.stdout.splitlines()
    ids = [int(line.split()[0]) for line in tokens]
    assert ids[:3] == [200006, 1428, 200008]
    assert summary.endswith(f"{len(ids)} tokens; decoded again, they are the same text: yes")
