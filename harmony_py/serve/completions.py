"""`/v1/completions`: ids in, ids out, for those who render and parse themselves, as `HttpEngine` does.

The fields are OpenAI's, and vLLM's where those have no words for ids. A prompt that is text is text: no
control token is read in it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.serve.asking import check_model, chosen, room
from harmony_py.serve.http import answer_streamed, answer_whole, loads, read_body, spelled
from harmony_py.serve.runners import Asked
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import N_VOCAB, SAMPLING_STOP_TOKENS, START_OF_TEXT
from harmony_py.wire import Usage
from harmony_py.wire.fields import Fields, check_json, checked_token, invalid, wrong_type
from harmony_py.wire.ids import random_id
from harmony_py.wire.options import read_logit_bias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from harmony_py.engines import Step
    from harmony_py.format.events import Event
    from harmony_py.serve.run import Run
    from harmony_py.serve.service import Service
    from harmony_py.wire import Stop
    from harmony_py.wire.logprobs import Entry

USUAL_LENGTH: Final = 16
"""Tokens of an answer where the request does not say, as in OpenAI's API."""

_GREATEST_SEED: Final = 2**63 - 1


class Wanted(NamedTuple):
    """How the answer is to be told."""

    model: str
    stream: bool
    shows_control: bool
    """Control tokens are spelled in the text."""


class Drawn:
    """The tokens as they come, and nothing made of them."""

    def __init__(self, asked: Asked) -> None:
        self.index = 0
        self.stop: Stop = "length"
        self.over = False
        self.reused = 0
        self.tokens: list[int] = []
        self._prompt: Final = len(asked.ids)

    def take(self, step: Step) -> tuple[list[Event], Entry | None]:
        self.tokens.append(step.token)
        if step.finish is not None:
            self.end("stop" if step.finish == "stop" else "length")
        return [], None

    def end(self, stop: Stop) -> None:
        self.over, self.stop = True, stop

    def usage(self) -> Usage:
        return Usage(self._prompt, len(self.tokens), 0, self.reused)


async def create(service: Service, request: Request) -> Response:
    body = await read_body(request, service.settings)
    wanted, asked = await service.in_thread(_read, service, body)
    run = service.draw([asked], [Drawn(asked)])
    if wanted.stream:
        return await answer_streamed(request.receive, spelled(_pieces(run, wanted)), run.close)
    return await answer_whole(request.receive, _whole(run, wanted), run.close)


def _read(service: Service, body: bytes) -> tuple[Wanted, Asked]:
    value = loads(body)
    check_json(value)
    fields = Fields(value)
    wanted = Wanted(
        fields.needed_text("model"),
        fields.flag("stream") or False,
        fields.flag("skip_special_tokens") is False,
    )
    check_model(wanted.model, service.settings)
    ids = _prompt(fields.need("prompt"))
    most = room(ids, service.settings, service.runner, "prompt")
    said: dict[str, Any] = {
        "temperature": fields.number("temperature", 0, 2),
        "top_k": fields.integer("top_k", 1, N_VOCAB),
        "top_p": fields.number("top_p", 0, 1),
        "min_p": fields.number("min_p", 0, 1),
        "seed": fields.integer("seed", -_GREATEST_SEED, _GREATEST_SEED),
        "logit_bias": read_logit_bias(fields),
    }
    stop = fields.array("stop_token_ids")
    length = fields.integer("max_tokens", 1, _GREATEST_SEED)
    fields.integer("n", 1, 1)
    for name in ("return_token_ids", "spaces_between_special_tokens", "stream_options", "user"):
        fields.take(name)  # Ids always come; the others change nothing here.
    fields.close()
    sampling = chosen(said, service.settings)
    sampling["stop"] = frozenset(checked_token(token, place) for place, token in stop) or SAMPLING_STOP_TOKENS
    sampling["max_tokens"] = min(length or USUAL_LENGTH, most)
    return wanted, Asked(ids, sampling)


def _prompt(value: object) -> list[int]:
    if isinstance(value, str):
        ids = Tokenizer.o200k_harmony().encode_ordinary(value)
    elif isinstance(value, list):
        ids = [checked_token(token, f"prompt[{at}]") for at, token in enumerate(value)]
    else:
        raise wrong_type("prompt", "a string or an array of tokens", value)
    if not ids:
        raise invalid("prompt", "it is empty")
    return ids


async def _pieces(run: Run[Drawn], wanted: Wanted) -> AsyncIterator[list[dict[str, Any]]]:
    """What has come, each time something has."""
    [drawn] = run.choices
    decoder = Tokenizer.o200k_harmony().stream_decoder()
    head = {"id": random_id("cmpl"), "object": "text_completion", "created": int(time.time())}
    end = N_VOCAB if wanted.shows_control else START_OF_TEXT
    told = 0
    async for _ in run.news():
        tokens = drawn.tokens[told:]
        told += len(tokens)
        # An engine may draw what is no token: it has no text.
        text = decoder.feed([token for token in tokens if 0 <= token < end])
        choice: dict[str, Any] = {"index": 0, "text": text, "token_ids": tokens, "finish_reason": None}
        if drawn.over:
            choice["text"] += decoder.finish()
            choice["finish_reason"] = drawn.stop
            choice["stop_reason"] = drawn.tokens[-1] if drawn.stop == "stop" and drawn.tokens else None
        yield [{**head, "model": wanted.model, "choices": [choice]}]


async def _whole(run: Run[Drawn], wanted: Wanted) -> dict[str, Any]:
    """All pieces in one."""
    whole: dict[str, Any] = {}
    text, tokens = [], []
    async for [whole] in _pieces(run, wanted):
        [choice] = whole["choices"]
        text.append(choice["text"])
        tokens += choice["token_ids"]
    choice = {**whole["choices"][0], "text": "".join(text), "token_ids": tokens}
    return {**whole, "choices": [choice], "usage": run.usage().for_chat()}
