"""Public names that are imported at first use, so that nobody waits for what is not asked for."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazily(
    package: str, homes: Mapping[str, str], extra: str | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of `package`, whose names come from the modules below it in `homes`.

    `extra` installs what they need: where that is missing, the `ImportError` says so.
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = import_module(f"{package}.{homes[name]}")
        except ModuleNotFoundError as missing:
            lacking = (missing.name or "").partition(".")[0]
            if extra is None or lacking == package.partition(".")[0]:
                raise
            needs = f"{package} needs {lacking}: pip install 'harmony-py[{extra}]'"
            raise ImportError(needs, name=lacking) from missing
        value: object = getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, listed
