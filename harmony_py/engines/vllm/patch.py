"""On and off: which parts of vLLM are replaced, how that is checked beforehand and undone."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.engines.vllm.harmony import (
    PARSER,
    UTILITIES,
    assistant_parser,
    count_reasoning_tokens,
    flush,
    process_chunk,
    render_for_completion,
)
from harmony_py.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

VARIABLE: Final = "HARMONY_PY_VLLM"
"""The environment variable that switches us on."""

TESTED: Final = ("0.33",)
"""The series of vLLM that this is tested with. What we replace is private and may change with any other."""

_NEEDED: Final = (
    (PARSER, "Segment"),
    (PARSER, "ChunkResult"),
    (PARSER, "Message"),
    (UTILITIES, "auto_drop_analysis_messages"),
)
"""What ours makes use of."""

MODE: Final = "harmony_py"
"""The tokenizer mode: our vocabulary, rendered as that of any other model is."""

_MODES: Final = (
    ("vllm.tokenizers.registry", "TokenizerRegistry", "tokenizers", __package__, "HarmonyTokenizer"),
    ("vllm.renderers.registry", "RENDERER_REGISTRY", "renderers", "vllm.renderers.hf", "HfRenderer"),
)
"""Where a mode is entered, and which class it means there."""

logger = logging.getLogger("vllm.harmony_py")


class _Swap(NamedTuple):
    owner: Any
    name: str
    theirs: Any
    ours: Any


_swapped: list[_Swap] = []


def plugin() -> None:
    """What vLLM calls. Does nothing unless `HARMONY_PY_VLLM` is 1; raises if it cannot do what it says."""
    if os.environ.get(VARIABLE) == "1":
        patch()


def patch() -> None:
    """Put our parser and renderer into vLLM, in this process. Done twice it does no more.

    `EngineError` where vLLM is another than those in `TESTED`, or lacks what we replace; nothing is changed
    then.
    """
    if _swapped:
        return
    version = _version()
    try:
        parser, utilities = importlib.import_module(PARSER), importlib.import_module(UTILITIES)
        for module, name in _NEEDED:
            getattr(sys.modules[module], name)
        swaps = [*_methods(parser), *_functions(utilities)]
        registries = [(_registry(*where), (home, name)) for *where, home, name in _MODES]
    except (ImportError, AttributeError) as error:
        raise EngineError(f"vllm {version}", f"cannot be patched: {error}") from error
    for swap in swaps:
        setattr(swap.owner, swap.name, swap.ours)
    for registry, entry in registries:
        registry[MODE] = entry
    _swapped.extend(swaps)
    names = ", ".join(f"{getattr(swap.owner, '__name__', swap.owner)}.{swap.name}" for swap in swaps)
    logger.info("harmony_py parses and renders for vLLM %s in place of %s", version, names)


def unpatch() -> None:
    """Undo `patch`, also in modules that have imported what is ours since."""
    for owner, name, theirs, ours in _swapped:
        setattr(owner, name, theirs)
        for module in _holding(name, ours):
            setattr(module, name, theirs)
    if _swapped:
        for *where, _, _ in _MODES:
            del _registry(*where)[MODE]
        logger.info("vLLM's own parser and renderer are back")
    _swapped.clear()


def _registry(module: str, name: str, field: str) -> dict[str, tuple[str, str]]:
    """Modes by name. `AttributeError` if vLLM has it otherwise."""
    found = getattr(getattr(importlib.import_module(module), name), field)
    if not isinstance(found, dict):
        raise AttributeError(f"{module}.{name}.{field} is no dict")
    return found


def _version() -> str:
    version = str(importlib.import_module("vllm").__version__)
    if not any(version == series or version.startswith(f"{series}.") for series in TESTED):
        tested = ", ".join(f"{series}.*" for series in TESTED)
        raise EngineError(f"vllm {version}", f"tested is {tested}; unset {VARIABLE} to go on without us")
    return version


def _methods(parser: ModuleType) -> list[_Swap]:
    cls = parser.HarmonyParser
    ours = (process_chunk, flush, count_reasoning_tokens)
    return [_Swap(cls, method.__name__, getattr(cls, method.__name__), method) for method in ours]


def _functions(utilities: ModuleType) -> list[_Swap]:
    ours: dict[str, Callable[..., Any]] = {
        "get_streamable_parser_for_assistant": assistant_parser,
        "render_for_completion": render_for_completion,
    }
    swaps = []
    for name, function in ours.items():
        theirs = getattr(utilities, name)
        swaps += [_Swap(module, name, theirs, function) for module in _holding(name, theirs)]
    return swaps


def _holding(name: str, value: object) -> list[ModuleType]:
    """The modules of vLLM in which `name` is `value`: where it was defined, and where it was imported."""
    modules = [module for key, module in list(sys.modules.items()) if key.partition(".")[0] == "vllm"]
    return [module for module in modules if vars(module).get(name) is value]
