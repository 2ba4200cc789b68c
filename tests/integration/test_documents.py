"""The documents' code blocks do what they say, and so does the example."""

from __future__ import annotations

import doctest
import re
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
