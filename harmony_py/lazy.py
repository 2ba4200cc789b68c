"""Names imported at first use: our own, so that nobody waits for what is not asked for, and callers' own."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def named(place: str) -> Any:
    """What `module:attribute` names; `ImportError` if there is nothing.

    As with `python -m`, a module in the current folder is found.
    """
    module, _, attribute = place.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise ImportError(f"{place!r}: expected module:attribute")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: Any = import_module(module)
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError as problem:
        raise ImportError(str(problem)) from problem
    return found
