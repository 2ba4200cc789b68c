"""Implementations as the harness knows them, and how to load one by name.

A name is one of `ADAPTERS`, or `module:factory` for anyone's own: the factory is called without arguments and
returns an `Implementation`, or any object that has some of its methods.
"""

from __future__ import annotations

import importlib
from typing import Any

from harmony_py.errors import HarmonyError
from harmony_py.lazy import named
from harmony_py.testing.implementation import Implementation, adapt

ADAPTERS = {
    "harmony_py": "this package",
    "openai_harmony": "openai-harmony or oss-harmony, whichever is installed",
    "transformers": "the response parser of transformers, with a template of ours",
}


class ImplementationError(HarmonyError):
    """An implementation that cannot be loaded: which one, and why."""


def load(name: str) -> Implementation:
    """The implementation of that name, ready to be asked."""
    if name in ADAPTERS:
        # The modules are not called like the packages: that would hide them.
        factory: Any = importlib.import_module(f"harmony_py.testing.adapters.for_{name}").load
    else:
        factory = _own(name)
    try:
        return adapt(factory())
    except ImportError:
        raise
    except TypeError as problem:
        raise ImplementationError(f"{name}: {problem}") from problem


def _own(name: str) -> Any:
    if ":" not in name:
        known = ", ".join(ADAPTERS)
        raise ImplementationError(f"{name!r} is none of {known}; your own is named module:factory")
    try:
        return named(name)
    except ImportError as problem:
        raise ImplementationError(f"{name}: {problem}") from problem
