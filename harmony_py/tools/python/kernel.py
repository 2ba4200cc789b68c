"""A Jupyter kernel in a process of its own: started, asked, interrupted, and ended for sure."""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from harmony_py.errors import ToolError
from harmony_py.tools.output import Output
from harmony_py.tools.python.messages import add_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LARGEST_MESSAGE: Final = 8 * 2**20
"""Bytes. The connection refuses more, so that no output can fill our memory."""

_FLOOD: Final = 50
"""How many times the characters that are kept may come before the code is stopped."""

_LAST_OUTPUT: Final = 2.0
"""Seconds that output may come after code has ended."""

_LONGEST_SOCKET: Final = 90
"""Characters of a socket's path; systems take about a hundred."""

_NEEDED: Final = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Of the environment. The rest is nobody's business: it holds keys."""

Ending: TypeAlias = Literal["done", "time", "flood", "died"]


@dataclass(frozen=True)
class Limits:
    """What code may take. They keep accidents small; they are no sandbox."""

    seconds: float = 120.0
    memory: int = 4 * 2**30
    """Bytes of address space, and of any one file, where the system can limit them."""
    characters: int = 20_000
    """Of output that is kept. Far more stops the code."""
    grace: float = 5.0
    """Seconds between being interrupted and being killed."""
    start: float = 60.0
    """Seconds for the kernel to start."""


class Kernel:
    """One process, and the sockets to it: files in a private folder, where the system has such sockets."""

    def __init__(self, folder: Path, limits: Limits, environment: Mapping[str, str]) -> None:
        import zmq
        from jupyter_client.blocking.client import BlockingKernelClient

        self._limits = limits
        private = Path(tempfile.mkdtemp(prefix="harmony-"))
        self._process = _started(private, folder, limits, environment)
        context = zmq.Context()
        context.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        self._client = BlockingKernelClient(context=context)
        self.close = weakref.finalize(self, _end, self._process, self._client, context, private)
        """End the process and its children, and remove what it left. Also called at the program's end."""
        try:
            self._connect(private)
        except BaseException:
            self.close()
            raise

    def alive(self) -> bool:
        if hasattr(os, "waitid") and self._process.returncode is None:
            # It is not collected yet: as long as it is there, nothing else can have its number.
            how = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._process.pid, how) is None
        return self._process.poll() is None

    def execute(self, code: str) -> tuple[Output, Ending]:
        """What the code put out, and how it ended. After anything but `"done"`, see whether it is `alive`."""
        output = Output(self._limits.characters)
        message = self._client.execute(code, allow_stdin=False)
        ending = self._follow(message, output, time.monotonic() + self._limits.seconds)
        if ending in ("time", "flood"):
            self._interrupt()
            stopped = self._follow(message, output, time.monotonic() + self._limits.grace)
            if stopped != "done":
                self.close()
        return output, ending

    def _follow(self, message: str, output: Output, deadline: float) -> Ending:
        """Take what comes of an execution until it ends, or must."""
        # The kernel keeps to its half of this, unless the code has seen to that.
        most = 2 * _FLOOD * self._limits.characters + output.total
        replied: float | None = None
        while time.monotonic() < deadline:
            found = self._next(self._client.get_iopub_msg, message)
            if found is not None:
                kind, content = found
                if kind == "status" and content.get("execution_state") == "idle":
                    return "done"
                add_message(output, kind, content)
                if kind == "stream" and output.total > most:
                    return "flood"
                continue
            if not self.alive():
                return "died"
            if replied is None and self._replied(message):
                replied = time.monotonic()
            if replied is not None and time.monotonic() > replied + _LAST_OUTPUT:
                output.add("\n[output was lost: it was too much at once]")
                return "done"
        return "time"

    def _next(self, get: Callable[..., Any], message: str) -> tuple[str, dict[str, Any]] | None:
        """Kind and content of the next answer to `message`; None if there is none for the moment."""
        try:
            found = get(timeout=0.1)
        except queue.Empty:
            return None
        except Exception:
            # No message: code in the kernel has the key, and can write to the socket.
            return None
        parent, content = found.get("parent_header"), found.get("content")
        if not isinstance(parent, dict) or parent.get("msg_id") != message:
            return None
        return str(found.get("msg_type")), content if isinstance(content, dict) else {}

    def _replied(self, message: str) -> bool:
        found = self._next(self._client.get_shell_msg, message)
        return found is not None and found[0] == "execute_reply"

    def _interrupt(self) -> None:
        if os.name == "nt":
            return  # there is nothing between asking and ending
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGINT)

    def _connect(self, private: Path) -> None:
        """Wait until the kernel answers on both sockets."""
        self._client.load_connection_file(str(private / "connection.json"))
        self._client.start_channels(stdin=False, hb=False)
        deadline = time.monotonic() + self._limits.start
        while time.monotonic() < deadline:
            if not self.alive():
                said = (private / "stderr").read_text("utf-8", errors="replace").strip()[-1000:]
                raise ToolError(f"Python could not be started: {said or 'it ended without a word'}")
            message = self._client.kernel_info()
            with contextlib.suppress(queue.Empty):
                # Output that comes before the subscription is through would be lost.
                self._client.get_iopub_msg(timeout=0.1)
                while self._client.get_shell_msg(timeout=1)["parent_header"].get("msg_id") != message:
                    pass
                return
        raise ToolError(f"Python did not start within {self._limits.start:g} seconds")


def _started(
    private: Path, folder: Path, limits: Limits, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    from jupyter_client.connect import write_connection_file

    connection = str(private / "connection.json")
    by_file = os.name != "nt" and len(str(private)) < _LONGEST_SOCKET
    transport, ip = ("ipc", str(private / "s")) if by_file else ("tcp", "127.0.0.1")
    write_connection_file(connection, key=secrets.token_hex(32).encode(), transport=transport, ip=ip)
    (private / "tmp").mkdir()
    launch = [sys.executable, "-I", "-X", "utf8", str(Path(__file__).with_name("launch.py"))]
    try:
        with (private / "stderr").open("wb") as stderr:
            return subprocess.Popen(
                [*launch, str(limits.memory), str(_FLOOD * limits.characters), connection],
                cwd=folder,
                env={**_environment(private, folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
    except OSError as error:
        shutil.rmtree(private, ignore_errors=True)
        raise ToolError(f"Python could not be started: {error}") from error


def _environment(private: Path, folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    own = {
        "HOME": str(folder),
        "IPYTHONDIR": str(private / "ipython"),
        "JPY_PARENT_PID": str(os.getpid()),  # the kernel ends when we do, however that happens
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",  # each thread's own arena would count as memory
        "TMPDIR": str(private / "tmp"),
    }
    return {**kept, **own}


def _end(process: subprocess.Popen[bytes], client: Any, context: Any, private: Path) -> None:
    # The group as well: children of code that has died go on otherwise.
    with contextlib.suppress(OSError):
        if os.name != "nt":
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):  # the system does not let go of it
        process.wait(10)
    client.stop_channels()
    context.destroy(linger=0)
    shutil.rmtree(private, ignore_errors=True)
