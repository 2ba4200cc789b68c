"""Models of transformers as an engine, and a conversation's next turn in one call."""

from __future__ import annotations

import copy
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from harmony_py import constrain
from harmony_py.engines.options import options
from harmony_py.engines.transformers.mask import ENGINE, MaskProcessor
from harmony_py.errors import EngineError, HarmonyError
from harmony_py.format.encoding import HarmonyEncoding, load_harmony_encoding
from harmony_py.format.parse import parse
from harmony_py.tokenizer.special import CALL, END_OF_TEXT, RETURN, SAMPLING_STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from torch import Tensor
    from transformers import GenerationConfig
    from transformers.generation.streamers import BaseStreamer

    from harmony_py.chat import Conversation, Message
    from harmony_py.constrain import TurnSpec
    from harmony_py.engines import Mask
    from harmony_py.format.config import RenderConfig
    from harmony_py.format.events import Diagnostic

STOP: Final = sorted(SAMPLING_STOP_TOKENS)
"""What a turn ends with. A call is among them, which the configs of many checkpoints forget."""


def generation_config(model: Any) -> GenerationConfig:
    """A copy of the model's own with the stop ids of harmony: assign it to `model.generation_config`."""
    config: GenerationConfig = copy.deepcopy(model.generation_config)
    config.eos_token_id = STOP
    config.pad_token_id = END_OF_TEXT
    return config


class Turn(NamedTuple):
    """What the model wrote behind a conversation."""

    messages: list[Message]
    diagnostics: list[Diagnostic]
    tokens: list[int]
    """What it drew, the prompt not among it."""
    finish: str
    """`"stop"`, `"tool_calls"`, or `"length"` where the tokens ran out first."""


def generate_messages(
    model: Any,
    conversation: Conversation | Sequence[Message],
    *,
    encoding: HarmonyEncoding | None = None,
    config: RenderConfig | None = None,
    spec: TurnSpec | None = None,
    mask: Mask | None = None,
    tools: Iterable[str] | None = None,
    streamer: BaseStreamer | None = None,
    **generate: Any,
) -> Turn:
    """The assistant's next turn, nothing lost: what is malformed is mended and told in the diagnostics.

    With a `spec` the turn keeps to it; `mask` is any other mask. `tools` are the full names of the tools
    there are, for mending calls; `streamer` may be a `HarmonyStreamer`; the rest goes to the model's
    `generate`, where `max_new_tokens` is worth setting.
    """
    prompt = (encoding or load_harmony_encoding()).render_conversation_for_completion(
        conversation, config=config
    )
    ids = torch.tensor([prompt], device=model.device)
    processors = LogitsProcessorList(generate.pop("logits_processor", None) or [])
    if spec is not None:
        if mask is not None:
            raise EngineError(ENGINE, "spec, mask: expected one of them, found both")
        mask = constrain.Mask.from_spec(spec, prompt)
    if mask is not None:
        processors.append(MaskProcessor(mask))
    drawn = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        generation_config=generate.pop("generation_config", None) or generation_config(model),
        logits_processor=processors,
        streamer=streamer,
        **generate,
    )
    tokens = getattr(drawn, "sequences", drawn)[0, len(prompt) :].tolist()
    result = parse(tokens, "assistant", policy="recover", tools=tools)
    finish = {RETURN: "stop", END_OF_TEXT: "stop", CALL: "tool_calls"}.get(tokens[-1] if tokens else -1)
    return Turn(result.messages, result.diagnostics, tokens, finish or "length")


class Drawn(NamedTuple):
    """A step of `TransformersEngine`."""

    token: int
    finish: str | None
    logprob: float
    """How likely the model itself found the token, before mask and sampling."""


class TransformersEngine:
    """A model of transformers as a `harmony_py.engines.Engine`. One generation at a time.

    `sampling` is a mapping, or an object, with the names in `harmony_py.engines.options`. The model's own
    `generate` runs in a thread of its own and waits for whoever iterates: closing the iterator ends it.
    """

    def __init__(self, model: Any, *, max_tokens: int = 4096) -> None:
        self.model = model
        self.max_tokens = max_tokens
        """Where `sampling` does not say."""

    def generate(
        self, ids: Sequence[int], sampling: Any = None, *, mask: Mask | None = None
    ) -> Generator[Drawn, None, None]:
        """The tokens behind `ids` as they are drawn, the one that ends the turn included."""
        chosen = options(ENGINE, sampling)
        most = chosen.get("max_tokens", self.max_tokens)
        if most < 1:
            return
        tap = _Tap(most, frozenset(chosen.get("stop", STOP)))
        processors = LogitsProcessorList([tap, *([] if mask is None else [MaskProcessor(mask)])])
        prompt = torch.tensor([list(ids)], device=self.model.device)
        arguments = {
            "input_ids": prompt,
            "attention_mask": torch.ones_like(prompt),
            "generation_config": self._config(chosen),
            "logits_processor": processors,
            "stopping_criteria": StoppingCriteriaList([tap.criteria]),
        }
        thread = threading.Thread(
            target=tap.run, args=(self.model, arguments, chosen.get("seed")), daemon=True
        )
        thread.start()
        try:
            yield from tap.steps()
        finally:
            tap.close()
            thread.join()

    def _config(self, chosen: dict[str, Any]) -> GenerationConfig:
        config = generation_config(self.model)
        config.eos_token_id = sorted(chosen.get("stop", STOP))
        config.max_length, config.max_new_tokens = None, chosen.get("max_tokens", self.max_tokens)
        temperature = chosen.get("temperature", 1.0)
        config.do_sample = temperature > 0
        # What the model's config says of filters is not asked for here.
        config.temperature, config.top_k, config.top_p, config.min_p = None, None, None, None
        if config.do_sample:
            config.temperature = float(temperature)
            config.top_k = chosen.get("top_k", 0)
            config.top_p = chosen.get("top_p")
            config.min_p = chosen.get("min_p")
        if bias := chosen.get("logit_bias"):
            config.sequence_bias = {(token,): float(value) for token, value in bias.items()}
        return config


class _ClosedError(Exception):
    """Nobody listens any more."""


class _Tap(LogitsProcessor):  # type: ignore[misc, unused-ignore]
    """Sees the model's logits before anything else, and hands each token on once the last one was taken."""

    def __init__(self, max_tokens: int, stop: frozenset[int]) -> None:
        self.criteria = _Criteria(self)
        self._left = max_tokens
        self._stop = stop
        self._logits: Tensor | None = None
        self._steps: SimpleQueue[Drawn | BaseException | None] = SimpleQueue()
        self._wanted = threading.Semaphore(0)
        self._closed = False

    # -- in the thread that generates ----------------------------------------------------------------------

    def run(self, model: Any, arguments: dict[str, Any], seed: int | None) -> None:
        try:
            self._wait()
            with torch.random.fork_rng(enabled=seed is not None):
                if seed is not None:
                    torch.manual_seed(seed)
                model.generate(**arguments)
            self._steps.put(None)
        except _ClosedError:
            pass
        except BaseException as error:
            self._steps.put(error)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._logits = scores[0].float()
        return scores

    def drawn(self, token: int) -> bool:
        """Hand `token` on, and wait until another is wanted. Whether it was the last one."""
        assert self._logits is not None  # nothing is drawn before there are logits
        logprob = float(self._logits[token] - self._logits.logsumexp(0))
        self._left -= 1
        finish = "stop" if token in self._stop else None if self._left else "length"
        self._steps.put(Drawn(token, finish, logprob))
        if finish is None:
            self._wait()
        return finish is not None

    def _wait(self) -> None:
        self._wanted.acquire()
        if self._closed:
            raise _ClosedError

    # -- in the thread that listens ------------------------------------------------------------------------

    def steps(self) -> Generator[Drawn, None, None]:
        tokens: list[int] = []
        while True:
            self._wanted.release()
            step = self._steps.get()
            if step is None:
                return
            if isinstance(step, Exception) and not isinstance(step, HarmonyError):
                raise EngineError(ENGINE, f"{type(step).__name__}: {step}", tuple(tokens)) from step
            if isinstance(step, BaseException):
                raise step
            tokens.append(step.token)
            yield step
            if step.finish:
                return

    def close(self) -> None:
        self._closed = True
        self._wanted.release()


class _Criteria(StoppingCriteria):  # type: ignore[misc, unused-ignore]
    """Asked behind every token: the first to see it."""

    def __init__(self, tap: _Tap) -> None:
        self._tap = tap

    def __call__(self, input_ids: Tensor, scores: Tensor | None, **_: Any) -> Tensor:
        over = self._tap.drawn(int(input_ids[0, -1]))
        return torch.full((len(input_ids),), over, device=input_ids.device, dtype=torch.bool)
