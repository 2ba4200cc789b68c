"""The parts of vLLM that we replace, and those that we use, as modules of their own names.

Written from how vLLM 0.33 behaves: functions imported by name into other modules, a parser that keeps
counters between calls, messages of another package. `benchmarks/vllm_parser.py` runs against the real one.
"""

from __future__ import annotations

import copy
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import openai_harmony

if TYPE_CHECKING:
    import pytest

UTILITIES = "vllm.entrypoints.openai.parser.harmony_utils"
PARSER = "vllm.parser.harmony"
RENDERER = "vllm.renderers.online_renderer"
TOKENIZERS = "vllm.tokenizers.registry"
RENDERERS = "vllm.renderers.registry"
HF = "vllm.tokenizers.hf"
MODES = {"hf": ("vllm.renderers.hf", "HfRenderer")}


class Segment(NamedTuple):
    channel: str | None
    recipient: str | None
    delta: str
    completed_message: Any = None


class ChunkResult(NamedTuple):
    segments: list[Segment]
    reasoning_token_count: int


class VLLMValidationError(ValueError):
    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class HarmonyParser:
    """What vLLM's own methods do is of no interest here: they must not run."""

    def __init__(self) -> None:
        self._parser: Any = None
        self._num_processed_messages = 0
        self._num_counted_tokens = 0
        self._num_reasoning_tokens = 0
        self._current_message_tokens: list[int] = []

    @property
    def _harmony_parser(self) -> Any:
        if self._parser is None:
            self._parser = sys.modules[PARSER].get_streamable_parser_for_assistant()
        return self._parser

    def process_chunk(self, token_ids: list[int]) -> ChunkResult:
        raise NotImplementedError

    def flush(self) -> list[Segment]:
        raise NotImplementedError

    def count_reasoning_tokens(self, token_ids: list[int]) -> int:
        raise NotImplementedError


def get_streamable_parser_for_assistant() -> Any:
    raise NotImplementedError


def render_for_completion(messages: list[Any]) -> list[int]:
    raise NotImplementedError


def auto_drop_analysis_messages(messages: list[Any]) -> list[Any]:
    finals = [i for i, message in enumerate(messages) if message.channel == "final"]
    last = finals[-1] if finals else 0
    return [m for i, m in enumerate(messages) if i >= last or m.channel != "analysis"]


def get_cached_tokenizer(tokenizer: Any) -> Any:
    """A copy, which keeps what it has been asked for."""
    return copy.copy(tokenizer)


def install(monkeypatch: pytest.MonkeyPatch, version: str) -> dict[str, ModuleType]:
    """The modules, imported as far as `sys.modules` knows, until the test is over."""
    functions = [get_streamable_parser_for_assistant, render_for_completion]
    contents: dict[str, dict[str, Any]] = {
        "vllm": {"__version__": version},
        "vllm.exceptions": {"VLLMValidationError": VLLMValidationError},
        UTILITIES: {
            "auto_drop_analysis_messages": auto_drop_analysis_messages,
            **{function.__name__: function for function in functions},
        },
        PARSER: {
            "HarmonyParser": type("HarmonyParser", (HarmonyParser,), {}),
            "Segment": Segment,
            "ChunkResult": ChunkResult,
            "Message": openai_harmony.Message,
            "get_streamable_parser_for_assistant": get_streamable_parser_for_assistant,
        },
        RENDERER: {"render_for_completion": render_for_completion},
        TOKENIZERS: {"TokenizerRegistry": SimpleNamespace(tokenizers={"hf": (HF, "CachedHfTokenizer")})},
        RENDERERS: {"RENDERER_REGISTRY": SimpleNamespace(renderers=dict(MODES))},
        HF: {"get_cached_tokenizer": get_cached_tokenizer},
    }
    packages = {".".join(name.split(".")[:end]) for name in contents for end in range(1, name.count(".") + 1)}
    modules = {name: ModuleType(name) for name in {*contents, *packages}}
    for name, module in modules.items():
        vars(module).update(contents.get(name, {}))
        monkeypatch.setitem(sys.modules, name, module)
    return modules
