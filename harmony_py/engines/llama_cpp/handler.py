"""llama-cpp-python's `create_chat_completion` with our renderer and parser: tokens in, tokens out.

`HarmonyChatHandler` is what `Llama` takes as `chat_handler`; `register` gives it a name for `chat_format`,
also for the server that comes with the package.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any, Final, Literal

from harmony_py.constrain import Mask, Position, to_gbnf
from harmony_py.engines.llama_cpp.engine import ENGINE, LlamaCppEngine
from harmony_py.engines.specs import turn_spec
from harmony_py.errors import EngineError
from harmony_py.format.encoding import HarmonyEncoding, load_harmony_encoding
from harmony_py.wire import Turn, Usage
from harmony_py.wire import chat_completions as chat
from harmony_py.wire.ids import random_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.chat import SystemContent
    from harmony_py.constrain import TurnSpec
    from harmony_py.engines import Drawn
    from harmony_py.wire import Stop
    from harmony_py.wire.options import Request

NAME: Final = "harmony"

_WIRE: Final = ("tools", "tool_choice", "functions", "function_call", "response_format", "seed")
"""What goes through as OpenAI has it, where it is said."""

_SAMPLING: Final = ("temperature", "top_p", "top_k", "min_p", "seed", "logit_bias")
_PASSED_ON: Final = (
    "typical_p",
    "presence_penalty",
    "frequency_penalty",
    "repeat_penalty",
    "mirostat_mode",
    "mirostat_tau",
    "mirostat_eta",
    "logits_processor",
    "grammar",
)
_UNKNOWN: Final[dict[str, tuple[Any, ...]]] = {
    "stop": ([], None),
    "logprobs": (None, False),
    "top_logprobs": (None,),
    "tfs_z": (None, 1.0),
}
"""What we cannot do, with the values that ask for nothing."""


class HarmonyChatHandler:
    """Answers as `Llama.create_chat_completion` does, dicts or a stream of them.

    `constrain="mask"` keeps the answer to the request's tools and format with our own masks, exactly;
    `"grammar"` does with llama.cpp's, which is narrower in places; see docs/constrained.md. `system` is what
    the system message says beyond the request, such as the date or the effort.
    """

    def __init__(
        self,
        *,
        constrain: Literal["mask", "grammar"] | None = None,
        system: SystemContent | None = None,
        encoding: HarmonyEncoding | None = None,
    ) -> None:
        if constrain not in (None, "mask", "grammar"):
            raise EngineError(ENGINE, f"constrain: expected 'mask', 'grammar' or None, found {constrain!r}")
        self._constrain, self._system = constrain, system
        self._encoding = encoding or load_harmony_encoding()

    def __call__(
        self, *, llama: Any, messages: list[Any], stream: bool = False, **settings: Any
    ) -> dict[str, Any] | Iterator[dict[str, Any]]:
        """`WireError` for a request that makes no sense, `EngineError` for a setting that we do not have."""
        for name, nothing in _UNKNOWN.items():
            if settings.get(name) not in nothing:
                raise EngineError(ENGINE, f"{name}: not supported by the harmony handler")
        request = self._read(llama, messages, settings)
        prompt = self._encoding.render_conversation_for_completion(request.conversation)
        steps = self._steps(llama, prompt, request, settings)
        reply = chat.Reply.to(request.options, reply_id=random_id("chatcmpl"), created=int(time.time()))
        tools = request.options.tools.full()
        if stream:
            return self._stream(steps, reply, tools)
        drawn = list(steps)
        result = self._encoding.parse(
            [step.token for step in drawn], "assistant", policy="recover", tools=tools
        )
        return chat.completion(reply, [Turn.of(result, _stop(drawn))], Usage.of(len(prompt), result))

    def _read(self, llama: Any, messages: list[Any], settings: dict[str, Any]) -> Request:
        asked = {name: settings[name] for name in _WIRE if settings.get(name) is not None}
        model = settings.get("model") or getattr(llama, "model_path", None) or NAME
        return chat.read_request({"model": model, "messages": messages, **asked}, system=self._system)

    def _steps(
        self, llama: Any, prompt: list[int], request: Request, settings: dict[str, Any]
    ) -> Iterator[Drawn]:
        extra = {name: settings[name] for name in _PASSED_ON if settings.get(name) is not None}
        spec = turn_spec(request.options) if self._constrain else None
        if spec is not None and settings.get("grammar"):
            raise EngineError(ENGINE, "grammar: the handler keeps to the request itself, as `constrain` says")
        sampling = {name: settings[name] for name in _SAMPLING if settings.get(name) is not None}
        if (settings.get("max_tokens") or 0) > 0:
            sampling["max_tokens"] = settings["max_tokens"]
        mask = None
        if spec is not None and self._constrain == "grammar":
            extra["grammar"] = _grammar(spec, prompt)
        elif spec is not None:
            mask = Mask.from_spec(spec, prompt)
        return LlamaCppEngine(llama, extra=extra).generate(prompt, sampling, mask=mask)

    def _stream(
        self, steps: Iterator[Drawn], reply: chat.Reply, tools: list[str]
    ) -> Iterator[dict[str, Any]]:
        parser = self._encoding.parser("assistant", policy="recover", tools=tools)
        written = chat.ChatStream(reply)
        last: list[Drawn] = []
        for step in steps:
            last = [step]
            yield from written.feed(parser.feed(step.token))
        yield from written.finish(parser.finish(), _stop(last))


def _grammar(spec: TurnSpec, prompt: list[int]) -> Any:
    """The grammar as llama-cpp-python's own object."""
    grammars = importlib.import_module("llama_cpp.llama_grammar")
    return grammars.LlamaGrammar.from_string(to_gbnf(spec, Position.of(prompt)), verbose=False)


def _stop(drawn: list[Drawn]) -> Stop:
    return "stop" if drawn and drawn[-1].finish == "stop" else "length"


def register(name: str = NAME, handler: HarmonyChatHandler | None = None) -> None:
    """Make `Llama(chat_format=name)` and the package's server use the handler."""
    _registry().register_chat_completion_handler(name, handler or HarmonyChatHandler())


def unregister(name: str = NAME) -> None:
    """Undo `register`."""
    _registry().unregister_chat_handler(name)


def _registry() -> Any:
    return importlib.import_module("llama_cpp.llama_chat_format").LlamaChatCompletionHandlerRegistry()
