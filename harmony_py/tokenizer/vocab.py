"""The embedded vocabulary: where it comes from, and how to hand it to others."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from harmony_py import _rust
from harmony_py.errors import VocabularyError

SHA256: Final = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""Of `o200k_base.tiktoken` as published. The build refuses any other table; `to_tiktoken` checks again."""

FILE_NAME: Final = "o200k_base.tiktoken"
"""The published name, under which `TIKTOKEN_ENCODINGS_BASE` (openai-harmony) looks for it."""

CACHE_NAME: Final = "fb374d419588a4632f3f557e76b4b70aebbca790"
"""The name in tiktoken's cache, the SHA-1 of the published address: for `TIKTOKEN_CACHE_DIR` (tiktoken,
transformers) and `TIKTOKEN_RS_CACHE_DIR` (openai-harmony)."""


def tokens() -> list[bytes]:
    """The bytes of every token of `o200k_base`, by rank: 199,998 of them."""
    return _rust.vocabulary()


def to_tiktoken() -> bytes:
    """The vocabulary in tiktoken's format, byte for byte the published file."""
    lines = (b"%b %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens()))
    table = b"".join(lines)
    if (found := hashlib.sha256(table).hexdigest()) != SHA256:
        raise VocabularyError(f"the embedded vocabulary has sha256 {found}, expected {SHA256}")
    return table


def export(directory: str | os.PathLike[str]) -> list[Path]:
    """Write the vocabulary where tiktoken, openai-harmony and transformers find it offline.

    Writes it under its published and under its cache name, and returns both paths. Point
    `TIKTOKEN_ENCODINGS_BASE` and `TIKTOKEN_CACHE_DIR` at `directory` and neither library downloads.
    A file appears whole or not at all, so that several processes may export at once.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    table = to_tiktoken()
    paths = [folder / FILE_NAME, folder / CACHE_NAME]
    for path in paths:
        _write_whole(path, table)
    return paths


def _write_whole(path: Path, content: bytes) -> None:
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
