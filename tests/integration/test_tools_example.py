"""The example does what its first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "play_the_model.py"

CALLS = """\
browser.search {"query": "sky"}
---
browser.open {"id": 0}
---
python
x = 6 * 7
print(x)
---
functions.apply_patch
*** Begin Patch
*** Update File: sky.md
@@
-Blue.
+Grey.
*** End Patch
---
browser.open {"id": 5}
"""


def test_calls_are_answered(tmp_path: Path) -> None:
    (tmp_path / "sky.md").write_text("# Sky\nBlue.\n")
    command = [sys.executable, SCRIPT, tmp_path, "--edit", "--seconds", "60"]
    ran = subprocess.run(command, input=CALLS, capture_output=True, encoding="utf-8", check=False)
    assert ran.stderr == ""
    assert ran.stdout == (
        "[0] sky\n**viewing lines [0 - 4] of 4**\n\nL0: \nL1: URL: \nL2: # Search Results\nL3: \n"
        "L4:   * 【0†sky】 # Sky Blue.\n\n"
        "[1] sky (file:///sky.md)\n**viewing lines [0 - 3] of 3**\n\nL0: \nL1: URL: file:///sky.md\n"
        "L2: # Sky\nL3: Blue.\n\n"
        "42\n\nDone!\n\nInvalid link id `5`.\n\n"
    )
    assert ran.returncode == 1
    assert (tmp_path / "sky.md").read_text() == "# Sky\nGrey.\n"
