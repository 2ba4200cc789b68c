"""`python -m harmony_py`: the command `harmony-py`."""

from __future__ import annotations

import sys

from harmony_py.cli import main

if __name__ == "__main__":
    sys.exit(main())
