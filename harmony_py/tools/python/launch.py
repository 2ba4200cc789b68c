"""What runs in the kernel's process: its limits are set, then ipykernel takes over. Run by its path.

python -I launch.py MEMORY_IN_BYTES CHARACTERS CONNECTION_FILE
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any


def limit(memory: int) -> None:
    """What the system has of limits on one process; children inherit them, each for itself."""
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = {"RLIMIT_AS": memory, "RLIMIT_FSIZE": memory, "RLIMIT_CORE": 0}
    for name, most in wanted.items():
        which = getattr(resource, name, None)
        if which is None:
            continue
        _, hard = resource.getrlimit(which)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # macOS has the name, and refuses the number.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (value, value))


class OutputError(Exception):
    """Code put out more than anybody reads."""


def bound(stream: Any, most: int) -> None:
    """Let each cell write so many characters to streams of this class, and no more.

    The code is told where it can be. This is for us: gathered for a moment, the output of a loop is larger
    than any message should be.
    """
    write = stream.write
    written: dict[str, int] = {}

    def bounded(self: Any, text: str) -> Any:
        if not isinstance(text, str):
            return write(self, text)  # it has its own words for that
        cell = str(self.parent_header.get("msg_id"))
        if cell not in written:
            written.clear()
        room = max(0, most - written.get(cell, 0))
        written[cell] = most - room + len(text)
        count = write(self, text[:room])
        if len(text) > room and threading.current_thread() is threading.main_thread():
            __tracebackhide__ = True  # for IPython: our code is not what went wrong
            raise OutputError(f"more than {most} characters of output")
        return count

    stream.write = bounded


def main(memory: int, characters: int, connection_file: str) -> None:
    limit(memory)
    from ipykernel.iostream import OutStream
    from ipykernel.kernelapp import IPKernelApp

    bound(OutStream, characters)
    app: Any = IPKernelApp.instance()
    app.initialize(
        ["-f", connection_file, "--HistoryManager.enabled=False", "--InteractiveShell.colors=NoColor"]
    )
    sys.path.insert(0, "")  # modules that the code has written; not before, so that they are not ours
    app.start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
