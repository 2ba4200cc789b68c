"""From a request that was read to what the engine is asked: the prompt's ids, the sampling, the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmony_py.errors import WireError
from harmony_py.serve.constraints import mask_for, spec_of
from harmony_py.serve.errors import ServeError
from harmony_py.serve.runners import Asked
from harmony_py.serve.stops import check_stops
from harmony_py.wire.fields import present

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.chat import Conversation
    from harmony_py.format.encoding import HarmonyEncoding
    from harmony_py.serve.runners import Runner
    from harmony_py.serve.settings import Settings
    from harmony_py.wire import Options


def ask(
    conversation: Conversation,
    options: Options,
    encoding: HarmonyEncoding,
    settings: Settings,
    runner: Runner,
) -> list[Asked]:
    """What each choice is drawn from; `WireError` if the request asks for what cannot be had."""
    check_model(options.model, settings)
    _refuse_unsupported(options, settings, runner)
    ids = encoding.render_conversation_for_completion(conversation, config=settings.render)
    most = room(ids, settings, runner, "messages")
    sampling = {**_sampling(options, settings, runner), "max_tokens": min(options.max_tokens or most, most)}
    mask = mask_for(options, ids)
    if options.n == 1:
        return [Asked(ids, sampling, mask)]
    # The same seed would draw the same answer each time.
    seeds = [{} if options.seed is None else {"seed": options.seed + i} for i in range(options.n)]
    masks = [mask and mask.copy() for _ in seeds]
    return [Asked(ids, {**sampling, **seed}, own) for seed, own in zip(seeds, masks, strict=True)]


def check_model(name: str, settings: Settings) -> None:
    if name not in settings.models:
        known = ", ".join(settings.models)
        message = f"The model '{name[:80]}' does not exist. There is: {known}."
        raise ServeError(404, message, "model", "model_not_found")


def room(ids: Sequence[int], settings: Settings, runner: Runner, field: str) -> int:
    """How many tokens the answer may have; `WireError` if the prompt, which is of `field`, leaves none."""
    prompt = len(ids)
    most = (
        settings.prompt_tokens if runner.context is None else min(settings.prompt_tokens, runner.context - 1)
    )
    if prompt > most:
        message = f"This server takes prompts of up to {most} tokens; this one has {prompt}."
        raise WireError(message, field, "context_length_exceeded")
    left = settings.output_tokens
    return left if runner.context is None else min(left, runner.context - prompt)


def _refuse_unsupported(options: Options, settings: Settings, runner: Runner) -> None:
    """What would otherwise be left out in silence."""
    for name in ("frequency_penalty", "presence_penalty"):
        if getattr(options, name):
            raise _cannot(name, "penalties are not supported here")
    check_stops(options.stop)
    if options.stop and options.logprobs:
        raise _cannot("logprobs", "not together with 'stop'")
    if options.n > settings.choices:
        raise WireError(f"Invalid 'n': at most {settings.choices} here.", "n", "invalid_value")
    if (options.logprobs or options.top_logprobs) and not runner.logprobs:
        raise _cannot("logprobs", "this server's engine does not tell them")
    if not runner.masks and spec_of(options) is not None:
        field = "tools" if options.format is None else "response_format"
        raise _cannot(field, "this server's engine cannot be held to a form")


def _cannot(name: str, why: str) -> WireError:
    return WireError(f"Unsupported parameter: '{name}': {why}.", name, "unsupported_parameter")


def _sampling(options: Options, settings: Settings, runner: Runner) -> dict[str, Any]:
    said: dict[str, Any] = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "seed": options.seed,
        "logit_bias": options.logit_bias,
    }
    if runner.logprobs and options.logprobs:
        said["logprobs"] = options.top_logprobs or 0
    return chosen(said, settings)


def chosen(said: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """How tokens are drawn: what a request says, where that is not None, and the server's defaults."""
    if said["top_p"] == 0:
        # No share at all: of the likeliest tokens only the first.
        said = {**said, "top_p": None, "top_k": 1}
    return {**settings.defaults, **present(said)}
