"""llama.cpp, through llama-cpp-python: an engine, a chat handler, and checkpoints as its files.

    llama = Llama("gpt-oss-20b.gguf", chat_handler=HarmonyChatHandler())
    llama.create_chat_completion(messages=[{"role": "user", "content": "Hi"}])

Over HTTP, llama-server is `harmony_py.engines.http`'s business; its grammars are
`harmony_py.constrain.to_gbnf`'s.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from harmony_py.engines.llama_cpp.engine import LlamaCppEngine
from harmony_py.engines.llama_cpp.handler import HarmonyChatHandler, register, unregister

if TYPE_CHECKING:
    from harmony_py.engines.llama_cpp.gguf import to_gguf, vocabulary_to_gguf

__all__ = [
    "HarmonyChatHandler",
    "LlamaCppEngine",
    "register",
    "to_gguf",
    "unregister",
    "vocabulary_to_gguf",
]


def __getattr__(name: str) -> object:
    """Writing files needs torch; answering does not."""
    if name not in ("to_gguf", "vocabulary_to_gguf"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("harmony_py.engines.llama_cpp.gguf"), name)
