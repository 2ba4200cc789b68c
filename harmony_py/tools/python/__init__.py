"""`python`: the stateful notebook that the models were trained with. Needs the extra `[tools]`."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harmony_py.chat import ToolNamespaceConfig
from harmony_py.errors import ToolError
from harmony_py.tools.calls import require, takes_text
from harmony_py.tools.python.kernel import Kernel, Limits

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from typing_extensions import Self

    from harmony_py.tools.python.kernel import Ending

__all__ = ["Limits", "Python"]

_EMPTY: Final = "[WARN] No output available. Use print() to see what there is."
_KEPT: Final = "Variables are kept."
_GONE: Final = "A new kernel takes over: variables, imports and definitions are gone."


class Python:
    """A Jupyter kernel that runs what the model writes: one for each conversation.

    It starts with the first code, in a process of its own, in `folder` or one that is removed in the end.
    Code that takes too long or puts out too much is interrupted, then killed; what died is replaced, and the
    model told each time. **This limits accidents; it is no sandbox**: the code may do what the user may who
    runs this program, the network included. For code that nobody vouches for, run all of it in a container.

    Close it, or use it in a `with` block; at the program's end it is closed in any case.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Of our environment the code sees what it takes to start, and `environment`."""
        require("the notebook", "tools", "ipykernel", "jupyter_client")
        self._limits = limits or Limits()
        self._environment = dict(environment or {})
        self._kernel: Kernel | None = None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="harmony-python-")).resolve(strict=True)
        self._forget = weakref.finalize(self, _remove, self.folder, folder is None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the kernel, its children, and the folder unless it was given."""
        if self._kernel:
            self._kernel.close()
        self._forget()

    @property
    def namespace(self) -> ToolNamespaceConfig:
        """For `SystemContent.with_tools`: what the models know, with the time and the folder of this one."""
        namespace = ToolNamespaceConfig.python()
        told = (namespace.description or "").replace("120.0 ", f"{float(self._limits.seconds)} ")
        return namespace.model_copy(update={"description": told.replace("/mnt/data", str(self.folder))})

    @property
    def callables(self) -> dict[str, Callable[..., str]]:
        """For `Chat`."""
        return {"python": self.run}

    @takes_text
    def run(self, code: str) -> str:
        """What the code puts out: streams, the last expression, tracebacks."""
        try:
            code.encode()
        except UnicodeEncodeError as error:
            raise ToolError(f"the code cannot be written in UTF-8: {error.reason}") from None
        if not self._forget.alive:
            raise ToolError("this notebook is closed")
        had_died = self._kernel is not None and not self._kernel.alive()
        kernel = self._running()
        output, ending = kernel.execute(code)
        before = f"[The kernel had died. {_GONE}]\n" if had_died else ""
        text = before + output.text()
        if ending != "done":
            raise ToolError(f"{text}\n{self._why(ending, kernel)}".lstrip("\n"))
        return text or _EMPTY

    def _running(self) -> Kernel:
        if self._kernel is None or not self._kernel.alive():
            if self._kernel:
                self._kernel.close()
            self._kernel = None
            self._kernel = Kernel(self.folder, self._limits, self._environment)
        return self._kernel

    def _why(self, ending: Ending, kernel: Kernel) -> str:
        reasons = {
            "time": f"The code was stopped after {self._limits.seconds:g} seconds.",
            "flood": "The code was stopped: it put out too much.",
            "died": "The kernel died.",
        }
        state = _KEPT
        if not kernel.alive():
            # Nobody is told of this death again.
            self._kernel, state = None, _GONE
            kernel.close()
        return f"[ERROR] {reasons[ending]} {state}"


def _remove(folder: Path, own: bool) -> None:
    if own:
        shutil.rmtree(folder, ignore_errors=True)
