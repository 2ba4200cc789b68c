"""Several files written as one: all of them, or none."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Change(NamedTuple):
    """What a file holds before and after; None where there is no file."""

    path: Path
    before: bytes | None
    after: bytes | None
    mode: int | None = None
    """Permissions of the file; None for those of any new file."""


class UndoError(HarmonyError):
    """Neither all nor none of the changes could be made."""


def write(changes: Iterable[Change]) -> None:
    """Make the changes. On any `OSError` what was done is undone, and the error raised;
    `UndoError` where that fails too.

    Each file is replaced whole: a reader sees the old one or the new one. Who is killed in the middle leaves
    some files new and some old, but none in halves.
    """
    # Files go first, so that a folder can come where one was.
    ordered = sorted(changes, key=lambda change: change.after is not None)
    done: list[Change] = []
    made: list[Path] = []
    try:
        for change in ordered:
            if change.after is not None:
                _make(change.path.parent, made)
            _put(change.path, change.after, change.mode)
            done.append(change)
    except OSError as error:
        try:
            _undo(done, made)
        except OSError as second:
            raise UndoError(
                f"{error}; and undoing it failed, so that some files are changed: {second}"
            ) from error
        raise


def _undo(done: list[Change], made: list[Path]) -> None:
    for change in reversed([change for change in done if change.after is not None]):
        _put(change.path, change.before, change.mode)
    for folder in reversed(made):
        folder.rmdir()
    for change in done:
        if change.after is None:
            _put(change.path, change.before, change.mode)


def _put(path: Path, content: bytes | None, mode: int | None) -> None:
    if content is None:
        path.unlink()
        return
    handle, name = tempfile.mkstemp(prefix=".patch-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, _usual_mode() if mode is None else mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _usual_mode() -> int:
    # The only way to read the mask is to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def _make(folder: Path, made: list[Path]) -> None:
    """Make the folder and those it is in; `made` gets each that there was not."""
    if not folder.exists():
        _make(folder.parent, made)
        folder.mkdir()
        made.append(folder)
