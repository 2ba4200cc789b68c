"""A program at a terminal, and somebody who types: for tests of what only a terminal shows."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

CONTROL_C, CONTROL_D = "\x03", "\x04"

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE = 20.0

# Who opens a terminal first in a new session is the one that its Ctrl-C is for.
_TAKE_TERMINAL = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Terminal:
    """Runs Python with `arguments` at a terminal of its own."""

    def __init__(self, *arguments: str, folder: Path, **environment: str) -> None:
        self._master, slave = pty.openpty()
        settings = {**os.environ, "TERM": "xterm", "PYTHONUTF8": "1", **environment}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={name: value for name, value in settings.items() if name not in ("NO_COLOR", "FORCE_COLOR")},
            start_new_session=True,
        )
        os.close(slave)
        self.raw = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def shown(self) -> str:
        """What was shown since the last `expect`, without colours."""
        return _ESCAPES.sub("", self.raw).replace("\r", "")[self._seen :]

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, text: str) -> str:
        """Wait until `text` is shown, and give all that was shown before it."""
        until = time.monotonic() + _PATIENCE
        while text not in self.shown:
            if time.monotonic() > until or not self._read():
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
        before = self.shown[: self.shown.index(text)]
        self._seen += len(before) + len(text)
        return before

    def end(self) -> int:
        """Wait for its end: the exit code."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE)

    def _read(self) -> bool:
        """Read what there is; False at the end."""
        if not select.select([self._master], [], [], _PATIENCE)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)
