"""A checkpoint: a directory with a `config.json` and one safetensors file or many, in any of the layouts.

Opening one reads the config and the files' headers, and checks every tensor's name, shape and type against
the config. No number is read before it is used, and on the CPU none is copied.
"""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from harmony_py.errors import CheckpointError
from harmony_py.model import config_json, int8, memory
from harmony_py.model.layouts import LAYOUTS, QUANTISED
from harmony_py.model.mxfp4 import NAN_SCALE
from harmony_py.model.safetensors_file import DTYPES, SafetensorsFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import PathLike

    from torch import Tensor

    from harmony_py.model.config import ModelConfig
    from harmony_py.model.layouts import Entry, Layout
    from harmony_py.model.weights import Weights

_PACKED: Final = ("U8",)
_NUMBERS: Final = ("BF16", "F32")
_SHOWN: Final = 8
"""So many faults are told one by one."""


def open(path: str | PathLike[str]) -> Checkpoint:  # noqa: A001 (read with the module's name, as `gzip.open` is)
    """The checkpoint in the directory `path`, checked as far as its headers go.

    Raises `CheckpointError`, which names the file, the tensor, what was expected and what was found; all of
    them, where more than one thing is wrong.
    """
    return Checkpoint(Path(path))


class Checkpoint:
    """An open checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.config: Final[ModelConfig] = config_json.read(_read_json(path / "config.json"))
        self._homes: Final = _homes(path)
        self.layout: Final = _layout(path, self._homes)
        self._entries: Final = self.layout.entries(self.config)
        faults = [*self._missing(), *self._surplus(), *self._misfits()]
        if faults:
            more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
            raise CheckpointError(f"{path}: " + "; ".join([*faults[:_SHOWN], *more]))

    def weights(self, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Weights:
        """The weights on `device`.

        On the CPU they are the mapped files themselves: nothing is copied, and nothing read yet. A `dtype`
        converts what is not MXFP4, at the price of a copy; without one everything stays as it is stored.
        Raises `CheckpointError` if `device` has not so much memory.
        """
        memory.require(self.bytes(dtype), device, f"the weights of {self.path}")

        # Query, key and value may be parts of one tensor, which is moved once.
        @functools.cache
        def read(name: str) -> Tensor:
            tensor = self._tensor(name)
            return tensor.to(device, dtype if tensor.is_floating_point() else None)

        return self.layout.build(self.config, read)

    def bytes(self, dtype: torch.dtype | None = None) -> int:
        """How many bytes the weights have as they are stored, or with what is not MXFP4 in `dtype`."""
        return sum(self._bytes(entry, dtype) for entry in self._entries)

    def bytes_with_int8(self) -> int:
        """How many they have once `int8.quantised` has been at them, and what it read is let go."""
        return sum(
            int8.bytes_of(entry.shape) if entry.field in QUANTISED else self._bytes(entry)
            for entry in self._entries
        )

    def _bytes(self, entry: Entry, dtype: torch.dtype | None = None) -> int:
        kind = self._dtype(entry) if entry.packed or dtype is None else dtype
        return math.prod(entry.shape) * kind.itemsize

    def check(self) -> None:
        """Read everything: no scale of MXFP4 is NaN, every number is finite, the index tells the truth.

        Takes as long as the files take to read, which is why opening does not do it.
        """
        self.check_scales()
        for entry in self._entries:
            # One pass without a copy: what is not finite is the largest or the smallest.
            if not entry.packed and not torch.stack(self._tensor(entry.name).aminmax()).isfinite().all():
                raise CheckpointError(f"{self._place(entry.name)}: expected finite numbers")
        for name, file in _index(self.path).items():
            found = self._homes[name].path.name if name in self._homes else None
            if found != file:
                raise CheckpointError(
                    f"{self.path}: tensor {name!r:.200} is in {found!r}, by the index in {file!r:.200}"
                )

    def check_scales(self) -> None:
        """Read the scales of MXFP4, a seventeenth of what is packed: a NaN would spoil every answer."""
        for entry in self._entries:
            if not entry.packed or entry.field.endswith(".blocks"):
                continue
            scales = self._tensor(entry.name)
            if scales.max() == NAN_SCALE:
                place = f"{self._place(entry.name)}, scale {scales.argmax()}"
                raise CheckpointError(f"{place}: expected less than {NAN_SCALE}, which is NaN")

    def _tensor(self, name: str) -> Tensor:
        return self._homes[name].tensor(name)

    def _dtype(self, entry: Entry) -> torch.dtype:
        return DTYPES[self._homes[entry.name].tensors[entry.name].dtype]

    def _place(self, name: str) -> str:
        return f"{self._homes[name].path.name}: tensor {name!r:.200}"

    def _missing(self) -> Iterator[str]:
        """What the files lack, the files that the index knows of first."""
        missing = {entry.name: None for entry in self._entries if entry.name not in self._homes}
        if missing:
            present = {file.path.name for file in self._homes.values()}
            try:
                listed = {file for name, file in _index(self.path).items() if name in missing}
            except CheckpointError as error:
                yield str(error)
            else:
                yield from (f"file {file!r:.200} is missing" for file in sorted(listed - present))
        yield from (f"tensor {name!r} is missing" for name in missing)

    def _surplus(self) -> Iterator[str]:
        expected = {entry.name for entry in self._entries}
        for name in self._homes.keys() - expected:
            yield f"{self._place(name)}: not in a {self.layout.name} checkpoint of this config"

    def _misfits(self) -> Iterator[str]:
        for entry in self._entries:
            if entry.name not in self._homes:
                continue
            found = self._homes[entry.name].tensors[entry.name]
            dtypes = _PACKED if entry.packed else _NUMBERS
            if found.dtype not in dtypes or found.shape != entry.shape:
                expected = f"{' or '.join(dtypes)} {list(entry.shape)}"
                was = f"{found.dtype} {list(found.shape)}"
                yield f"{self._place(entry.name)}: expected {expected}, found {was}"


def _homes(path: Path) -> dict[str, SafetensorsFile]:
    """Every tensor's file, whatever an index says: it may be missing, or older than the files."""
    homes: dict[str, SafetensorsFile] = {}
    for name in sorted(path.glob("*.safetensors")):
        file = SafetensorsFile(name)
        twice = homes.keys() & file.tensors.keys()
        if twice:
            tensor = min(twice)
            raise CheckpointError(f"{name}: tensor {tensor!r:.200} is in {homes[tensor].path.name} too")
        homes |= dict.fromkeys(file.tensors, file)
    if not homes:
        raise CheckpointError(f"{path}: expected *.safetensors files, found none")
    return homes


def _layout(path: Path, names: Mapping[str, object]) -> Layout:
    """The layout that most of the first layer's names are from."""

    def known(layout: Layout) -> int:
        return sum(name.format(0) in names for name in layout.names.values())

    best = max(LAYOUTS.values(), key=known)
    if not known(best):
        raise CheckpointError(f"{path}: tensors of no gpt-oss model, such as {min(names)!r:.200}")
    return best


def _index(path: Path) -> dict[str, str]:
    """Which file each tensor is in by the index; nothing where there is none."""
    files: dict[str, str] = {}
    for index in sorted(path.glob("*.safetensors.index.json")):
        values = _read_json(index)
        names = values.get("weight_map") if isinstance(values, dict) else None
        if not isinstance(names, dict) or not all(isinstance(file, str) for file in names.values()):
            raise CheckpointError(f"{index}: expected a weight_map of names to files")
        files |= names
    return files


def _read_json(path: Path) -> object:
    try:
        values: object = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}{_hint(path)}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected JSON: {error}") from error
    return values


def _hint(path: Path) -> str:
    """The original layout comes in a folder of its own."""
    inner = path.parent / "original" / path.name
    return f"; did you mean {inner.parent}?" if inner.exists() else ""
