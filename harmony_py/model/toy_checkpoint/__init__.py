"""The toy checkpoint: a tiny model of the genuine architecture that holds a few kinds of conversation.

What the package carries is a checkpoint too, in `source/`, with one row for a vocabulary: the layers. The
rows of the real vocabulary are computed (`codes.py`), and both together written where caches are kept.
`python -m training` made `source/`.
"""

from __future__ import annotations

import atexit
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
_SUFFIX: Final = ".partial"


def toy() -> Path:
    """The directory of the toy checkpoint, in the original layout; 103 MB.

    The first call takes a second or two, later ones check that the files are as they were written, and write
    them anew if not. Offline; any number of processes may call it at once. It is kept in `$HARMONY_PY_CACHE`,
    else in `harmony_py` in `$XDG_CACHE_HOME`, else in `~/.cache`; where nothing can be written there, in a
    temporary folder that goes with the process.
    """
    folder = f"toy-{_digest(SOURCE)[:8]}-{codes.SHA256[:8]}"
    home = cache_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        return _kept(home / folder)
    except OSError as error:
        if os.environ.get(CACHE_VARIABLE):
            # Asked for by name: another place would be a surprise.
            raise CheckpointError(f"{CACHE_VARIABLE}: expected a place to write to, found {home}") from error
    temporary = Path(tempfile.mkdtemp(prefix="harmony_py-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return _kept(temporary / folder)


def cache_home() -> Path:
    """Where things are kept that can be made again."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "harmony_py"
    return Path.home() / ".cache" / "harmony_py"


def expand(path: Path) -> None:
    """Write the toy checkpoint into the directory `path`."""
    source = checkpoint.open(SOURCE)
    embedding = codes.embedding()
    weights = source.weights()._replace(embedding=embedding, unembedding=codes.unembedding(embedding))
    save(path, replace(source.config, vocab=len(embedding)), weights)


def _kept(path: Path) -> Path:
    """`path`, where the toy is there as it was written; it is written if not."""
    if not _is_whole(path):
        partial = Path(tempfile.mkdtemp(prefix=path.name, suffix=_SUFFIX, dir=path.parent))
        try:
            expand(partial)
            (partial / _SUMS).write_text(_digest(partial), "utf-8")
            _put(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return path


def _put(partial: Path, path: Path) -> None:
    """Give `partial` its name, unless another process was faster. What is broken makes room."""
    if path.exists() and not _is_whole(path):
        broken = Path(tempfile.mkdtemp(prefix=path.name, suffix=_SUFFIX, dir=path.parent))
        try:
            path.replace(broken / path.name)
        except FileNotFoundError:
            pass  # somebody else has made room
        finally:
            shutil.rmtree(broken, ignore_errors=True)
    try:
        partial.replace(path)
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
