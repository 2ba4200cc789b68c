"""llama.cpp, through llama-cpp-python: an engine, a chat handler, and checkpoints as its files.

    llama = Llama("gpt-oss-20b.gguf", chat_handler=HarmonyChatHandler())
    llama.create_chat_completion(messages=[{"role": "user", "content": "Hi"}])

Over HTTP, llama-server is `harmony_py.engines.http`'s business; its grammars are
`harmony_py.constrain.to_gbnf`'s.
"""

from harmony_py.engines.llama_cpp.engine import LlamaCppEngine
from harmony_py.engines.llama_cpp.gguf import to_gguf, vocabulary_to_gguf
from harmony_py.engines.llama_cpp.handler import HarmonyChatHandler, register, unregister

__all__ = [
    "HarmonyChatHandler",
    "LlamaCppEngine",
    "register",
    "to_gguf",
    "unregister",
    "vocabulary_to_gguf",
]
