"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from harmony_py.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from typing_extensions import Buffer


class Written(NamedTuple):
    """What stands in a file that was written."""

    bytes: int
    sha256: str


def write_whole(path: Path, chunks: Iterable[Buffer], scratch: Path) -> Written:
    """Write a file in the folder `scratch`, and move it to `path` when it is on the disk."""
    partial = scratch / f"partial-{uuid.uuid4().hex}"
    digest, size = hashlib.sha256(), 0
    try:
        with partial.open("xb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as problem:
        raise ShardError(str(path), problem.strerror or str(problem)) from None
    return Written(size, digest.hexdigest())


def write_json(path: Path, value: object, scratch: Path) -> Written:
    return write_whole(path, [json.dumps(value, indent=1).encode() + b"\n"], scratch)


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file of ours says, an object; `ShardError` if it does not."""
    try:
        found = json.loads(path.read_bytes())
    except OSError as problem:
        raise ShardError(str(path), problem.strerror or str(problem)) from None
    except (ValueError, RecursionError) as problem:
        raise ShardError(str(path), f"no JSON: {problem}") from None
    if not isinstance(found, dict):
        raise ShardError(str(path), f"expected an object, found a {type(found).__name__}")
    return found


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
