"""What is needed but not there, said plainly."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

_INSTALL = {
    "hypothesis": "pip install 'harmony-py[testing]'",
    "openai_harmony": "pip install openai-harmony (or oss-harmony, which has the same import name)",
    "transformers": "pip install 'transformers>=5.23'",
}


def require(module: str, what_for: str) -> ModuleType:
    """The module; `ImportError` that says who needs it and how to get it, where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        package = module.partition(".")[0]
        if missing.name != package:  # it is there, and something that it needs is not
            raise
        raise ImportError(f"{what_for} needs {package}: {_INSTALL[package]}", name=package) from missing
