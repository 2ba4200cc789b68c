"""The toy checkpoint: a tiny model of the genuine architecture that holds a few kinds of conversation.

What the package carries is a checkpoint too, in `source/`, with one row for a vocabulary: the layers. The
rows of the real vocabulary are computed (`codes.py`), and both together written where caches are kept.
`python -m training` made `source/`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from harmony_py.errors import CheckpointError
from harmony_py.model import checkpoint
from harmony_py.model.saving import save
from harmony_py.model.toy_checkpoint import codes

SOURCE: Final = Path(__file__).parent / "source"

CACHE_VARIABLE: Final = "HARMONY_PY_CACHE"

_SUMS: Final = "SHA256SUMS"


def toy() -> Path:
    """The directory of the toy checkpoint, in the original layout; 103 MB.

    The first call takes a second or two. Later ones check that the files are as they were written, and write
    them anew if not. Offline; any number of processes may call it at once. It is kept in `$HARMONY_PY_CACHE`,
    else in `harmony_py` in `$XDG_CACHE_HOME` or `~/.cache`; where nothing can be written there, in a
    temporary folder that goes with the process. Raises `CheckpointError` if `$HARMONY_PY_CACHE` names a place
    that cannot be written to.
    """
    folder = f"toy-{_digest(SOURCE)[:8]}-{codes.SHA256[:8]}"
    named = os.environ.get(CACHE_VARIABLE)
    try:
        return _kept((Path(named) if named else _usual_home()) / folder)
    except OSError as error:
        if named:  # another place would be a surprise
            expected = "a directory to write to"
            raise CheckpointError(f"{CACHE_VARIABLE}: expected {expected}, found {named}: {error}") from error
    return _kept(_temporary() / folder)


def _usual_home() -> Path:
    """Where things are kept that can be made again."""
    shared = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(shared) if shared else Path.home() / ".cache") / "harmony_py"
    except RuntimeError as error:  # a user without a home
        raise OSError(str(error)) from error


@functools.cache
def _temporary() -> Path:
    """A folder that goes with the process."""
    path = Path(tempfile.mkdtemp(prefix="harmony_py-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def expand(path: Path) -> None:
    """Write the toy checkpoint into the directory `path`."""
    source = checkpoint.open(SOURCE)
    embedding = codes.embedding()
    weights = source.weights()._replace(embedding=embedding, unembedding=codes.unembedding(embedding))
    save(path, replace(source.config, vocab=len(embedding)), weights)


def _kept(path: Path) -> Path:
    """`path`, where the toy is there as it was written; it is written if not."""
    if not _is_whole(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as workshop:
            made = Path(workshop) / "made"
            expand(made)
            (made / _SUMS).write_text(_digest(made), "utf-8")
            _put(made, path, aside=Path(workshop) / "broken")
    return path


def _put(made: Path, path: Path, aside: Path) -> None:
    """Give `made` its place, unless another process was faster. What is broken there makes room."""
    if path.exists() and not _is_whole(path):
        with contextlib.suppress(FileNotFoundError):  # somebody else made room
            path.replace(aside)
    try:
        made.replace(path)
    except OSError:
        if not _is_whole(path):
            raise


def _is_whole(path: Path) -> bool:
    try:
        return (path / _SUMS).read_text("utf-8") == _digest(path)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(path: Path) -> str:
    """Of the checkpoint's files, by name."""
    digest = hashlib.sha256()
    for file in sorted([*path.glob("*.json"), *path.glob("*.safetensors")]):
        digest.update(f"{file.name} {file.stat().st_size} ".encode())
        with file.open("rb") as content:
            while part := content.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()
