"""transformers as a host: tokenizer, response template, masks, streaming, and models as engines.

Needs transformers and torch, which are imported with this room.
"""

from harmony_py.engines.transformers.generate import (
    TransformersEngine,
    Turn,
    generate_messages,
    generation_config,
)
from harmony_py.engines.transformers.mask import MaskProcessor
from harmony_py.engines.transformers.streamer import HarmonyStreamer
from harmony_py.engines.transformers.template import response_template
from harmony_py.engines.transformers.tokenizer import tokenizer

__all__ = [
    "HarmonyStreamer",
    "MaskProcessor",
    "TransformersEngine",
    "Turn",
    "generate_messages",
    "generation_config",
    "response_template",
    "tokenizer",
]
