"""vLLM with our parser, renderer and tokenizer, switched on by `HARMONY_PY_VLLM=1`.

vLLM gives models of type `gpt_oss` a parser that no flag replaces. What it is made of can be: the methods
that turn tokens into segments, and the function that renders a conversation. `plugin` is the entry point in
the group `vllm.general_plugins`, which vLLM calls in each of its processes. The tokenizer is a mode beside
vLLM's own: `--tokenizer-mode harmony_py`.
"""

from typing import Any

from harmony_py.engines.vllm.harmony import render_for_completion
from harmony_py.engines.vllm.patch import MODE, TESTED, VARIABLE, patch, plugin, unpatch

__all__ = [
    "MODE",
    "TESTED",
    "VARIABLE",
    "HarmonyTokenizer",
    "patch",
    "plugin",
    "render_for_completion",
    "unpatch",
]


def __getattr__(name: str) -> Any:
    """The tokenizer needs transformers, which vLLM has, and which takes seconds to import."""
    if name != "HarmonyTokenizer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harmony_py.engines.vllm.tokenizer import HarmonyTokenizer

    return HarmonyTokenizer
