"""The tokenizer mode of vLLM: the embedded vocabulary, whatever files a model has beside its weights."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harmony_py.engines.transformers.tokenizer import tokenizer
from harmony_py.errors import EngineError
from harmony_py.tokenizer.special import N_VOCAB

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MODEL_TYPE: Final = "gpt_oss"

_CACHE: Final = "vllm.tokenizers.hf"

_KEPT: Final = ("truncation_side", "padding_side", "model_max_length")
"""What vLLM says of a tokenizer that has to do with more than where it comes from."""


class HarmonyTokenizer:
    """What the mode names: vLLM asks it for a tokenizer, and gets one of transformers', made offline."""

    @classmethod
    def from_pretrained(
        cls, path_or_repo_id: str | Path, *_: Any, **settings: Any
    ) -> PreTrainedTokenizerFast:
        """The tokenizer. `EngineError` if a folder of that name holds a model that is no gpt-oss."""
        _require_gpt_oss(Path(path_or_repo_id))
        made = tokenizer()
        for name in _KEPT:
            if settings.get(name) is not None:
                setattr(made, name, settings[name])
        made.name_or_path = str(path_or_repo_id)
        # vLLM asks for all of the vocabulary at every request, and keeps it where it knows of it.
        found: PreTrainedTokenizerFast = importlib.import_module("vllm.tokenizers.hf").get_cached_tokenizer(
            made
        )
        return found


def _require_gpt_oss(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        return  # a name on a hub, whose vocabulary nobody here can look at
    try:
        read = json.loads(config.read_bytes())
    except ValueError as error:
        raise EngineError("vllm", f"{config}: no JSON: {error}") from None
    kind, size = (read.get("model_type"), read.get("vocab_size")) if isinstance(read, dict) else (None, None)
    if kind != MODEL_TYPE or size not in (None, N_VOCAB):
        found = f"model_type {kind!r}, vocab_size {size!r}"
        raise EngineError("vllm", f"{config}: expected {MODEL_TYPE!r} with {N_VOCAB} tokens, found {found}")
