"""Stand-ins for other packages. `install()` makes `import openai_harmony` give ours.

`DIFFERENCES.md` beside this file says where the stand-in differs from the original.
"""

from __future__ import annotations

import importlib
import sys

NAME = "openai_harmony"


def install() -> None:
    """From now on `import openai_harmony` gives the drop-in, in every module of this process.

    Call it before anything imports the original: who has done so keeps it. For hosts that import it
    before any code of yours runs there is the distribution in `packaging/openai-harmony-shim`.
    """
    sys.modules[NAME] = importlib.import_module(f"harmony_py.compat.{NAME}")


def uninstall() -> None:
    """Undo `install`: the next import of `openai_harmony` is of the original, if there is one."""
    ours = importlib.import_module(f"harmony_py.compat.{NAME}")
    if sys.modules.get(NAME) is ours:
        del sys.modules[NAME]
