"""`apply_patch`: edits files in a folder as the models were taught to."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from harmony_py.chat import ToolDescription
from harmony_py.errors import ToolError
from harmony_py.tools.apply_patch.envelope import Add, Delete, Section, Update, read, unwrapped
from harmony_py.tools.apply_patch.matching import patched
from harmony_py.tools.apply_patch.writing import Change, UndoError, write
from harmony_py.tools.calls import takes_text
from harmony_py.tools.confine import Confined

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from pathlib import Path

LARGEST: Final = 8 * 2**20
"""Bytes of a file that can be patched."""

INSTRUCTIONS: Final = """\
Use `apply_patch` to edit files. A patch has a section for each file:

*** Begin Patch
*** Add File: notes/new.txt
+every line of a new file begins with +
*** Update File: app.py
*** Move to: main.py
@@ def greet():
 a line that stays begins with a space
-a line that goes
+a line that comes
*** Delete File: old.txt
*** End Patch

`*** Move to:` is optional and renames the file. A hunk begins with `@@`, behind which may be a line of the \
file that stands above it. Give three lines that stay before and after each change. `*** End of File` behind \
a hunk says that its lines are the last ones. Paths are relative."""
"""For the developer message: what the models are told of patches."""


class ApplyPatch:
    """The tool `functions.apply_patch`, confined to a folder.

    All of a patch is applied or nothing. What does not fit is told in a way that the model can act on.
    Symbolic links are not followed, and `.git` is not touched.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Confined(folder)

    @property
    def tools(self) -> list[ToolDescription]:
        """For `DeveloperContent.with_function_tools`; `INSTRUCTIONS` go well with it."""
        return [
            ToolDescription.new(
                "apply_patch", "Edits files.", {"type": "string", "description": "A patch, as it stands."}
            )
        ]

    @property
    def callables(self) -> dict[str, Callable[..., str]]:
        """For `Chat`."""
        return {"functions.apply_patch": self.run}

    @takes_text
    def run(self, patch: str) -> str:
        """Apply the patch that is the text of a call, plain or in JSON."""
        try:
            write(self._changes(read(unwrapped(patch))))
        except UndoError as error:
            raise ToolError(str(error)) from error
        except OSError as error:
            raise ToolError(f"nothing was changed: {error.strerror or error}") from error
        return "Done!"

    def _changes(self, sections: Iterable[Section]) -> list[Change]:
        changes: dict[Path, Change] = {}
        for section in sections:
            for change in self._of_section(section):
                if change.path in changes:
                    name = self._folder.name(change.path)
                    raise ToolError(f"{name!r} is changed twice: put all of its hunks into one section")
                changes[change.path] = change
        return list(changes.values())

    def _of_section(self, section: Section) -> list[Change]:
        path = self._folder.path(section.path)
        if isinstance(section, Add):
            return [Change(self._vacant(path), None, "".join(f"{line}\n" for line in section.lines).encode())]
        before, mode = self._content(path)
        if isinstance(section, Delete):
            return [Change(path, before, None, mode)]
        after = self._updated(before, section)
        if section.move_to is None or (new := self._folder.path(section.move_to)) == path:
            return [Change(path, before, after, mode)]
        return [Change(path, before, None, mode), Change(self._vacant(new), None, after, mode)]

    def _updated(self, before: bytes, section: Update) -> bytes:
        try:
            return patched(before.decode(), section.hunks).encode()
        except UnicodeError as error:
            raise ToolError(f"{section.path!r}: no text in UTF-8: {error}") from None
        except ToolError as error:
            raise ToolError(f"{section.path!r}: {error}") from None

    def _content(self, path: Path) -> tuple[bytes, int]:
        name = self._folder.name(path)
        try:
            status = path.stat()
        except FileNotFoundError:
            raise ToolError(f"{name!r}: there is no such file") from None
        if not stat.S_ISREG(status.st_mode):
            raise ToolError(f"{name!r}: expected a file")
        if status.st_size > LARGEST:
            raise ToolError(f"{name!r}: {status.st_size} bytes are too many; at most {LARGEST} are patched")
        return path.read_bytes(), stat.S_IMODE(status.st_mode)

    def _vacant(self, path: Path) -> Path:
        if path.exists():
            raise ToolError(f"{self._folder.name(path)!r}: there is such a file already; update or delete it")
        return path
