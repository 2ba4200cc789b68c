"""Names of files that a model gives, confined to one folder."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from harmony_py.errors import ToolError

LONGEST_NAME: Final = 1024
"""In characters."""


class Confined:
    """A folder that no name leads out of: not by `..`, not as an absolute path, not by a symbolic link.

    That holds at the moment of asking: it is no defence against another process that changes the folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.root = Path(folder).resolve(strict=True)
        if not self.root.is_dir():
            raise NotADirectoryError(f"{self.root}: expected a folder")

    def path(self, name: str) -> Path:
        """Where the file is, or would be; `ToolError` if the name is none within the folder."""
        parts = _parts(name)
        path = self.root
        for part in parts:
            path = path / part
            try:
                is_link = path.is_symlink()
            except OSError as error:
                raise ToolError(f"{name!r}: {error.strerror}") from None
            if is_link:
                raise ToolError(f"{name!r}: {part!r} is a symbolic link, which is not followed")
        return path

    def name(self, path: Path) -> str:
        """The name of a file in the folder, with slashes whatever the system."""
        return path.relative_to(self.root).as_posix()


def _parts(name: str) -> tuple[str, ...]:
    if len(name) > LONGEST_NAME:
        raise ToolError(f"{name[:40]!r}...: expected a path of at most {LONGEST_NAME} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ToolError(f"{name!r}: expected a path without control characters")
    windows = PureWindowsPath(name)
    if name.startswith("/") or windows.root or windows.drive:
        raise ToolError(f"{name!r}: expected a path relative to the folder, found an absolute one")
    if os.name == "nt" and ("\\" in name or ":" in name):
        raise ToolError(f"{name!r}: expected slashes between folders, and no colons")
    parts = PurePosixPath(name).parts
    if not parts:
        raise ToolError(f"{name!r}: expected the path of a file")
    if ".." in parts:
        raise ToolError(f"{name!r}: expected a path within the folder, found '..'")
    if any(part.casefold() == ".git" for part in parts):
        # Its hooks and settings run commands.
        raise ToolError(f"{name!r}: '.git' is not to be touched")
    return parts
