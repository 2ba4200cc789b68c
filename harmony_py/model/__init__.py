"""The bundled decode loop of gpt-oss: ids in, ids out. Needs the extra `model`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.lazy import lazily

if TYPE_CHECKING:
    from harmony_py.model.cache import Cache
    from harmony_py.model.checkpoint import Checkpoint
    from harmony_py.model.config import ModelConfig
    from harmony_py.model.generate import Batch, Generation, Step
    from harmony_py.model.mask import Mask
    from harmony_py.model.model import Model, load
    from harmony_py.model.sample import Sampling
    from harmony_py.model.saving import random_checkpoint, save
    from harmony_py.model.toy_checkpoint import toy

__all__ = [
    "Batch",
    "Cache",
    "Checkpoint",
    "Generation",
    "Mask",
    "Model",
    "ModelConfig",
    "Sampling",
    "Step",
    "load",
    "random_checkpoint",
    "save",
    "toy",
]

# Imported at first use: torch takes seconds. No module here may have a public function's name: importing it
# would put it in the function's place.
_HOMES = {
    "Batch": "generate",
    "Cache": "cache",
    "Checkpoint": "checkpoint",
    "Generation": "generate",
    "Mask": "mask",
    "Model": "model",
    "ModelConfig": "config",
    "Sampling": "sample",
    "Step": "generate",
    "load": "model",
    "random_checkpoint": "saving",
    "save": "saving",
    "toy": "toy_checkpoint",
}

__getattr__, __dir__ = lazily(__name__, _HOMES, extra="model")
