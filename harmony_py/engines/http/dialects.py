"""What each server wants to be asked and how it answers, one small class each.

How they behave was read in their source: vLLM 0.33, SGLang 0.5.23, llama-server and Ollama of late 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from harmony_py.engines.http.lines import StreamError, excerpt
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import N_VOCAB, START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Piece(NamedTuple):
    """What one object of a stream brings: ids, or text where the server gives none."""

    ids: list[int]
    text: str = ""
    finish: str | None = None
    """`"stop"`, `"length"` or `"context"`; None while it goes on."""
    stop: int | None = None
    """The token that it stopped at, if the server says so."""


class Dialect(Protocol):
    """A server's way of completing a prompt."""

    path: str
    events: bool
    """Answers are server-sent events; else one object a line."""

    def body(self, model: str | None, ids: Sequence[int], options: Mapping[str, Any]) -> dict[str, Any]:
        """The request, from options in the names of `harmony_py.engines.options`."""

    def piece(self, answer: dict[str, Any], seen: int) -> Piece:
        """What `answer` says behind the `seen` ids that have come. `StreamError` if it makes no sense."""


class Completions:
    """OpenAI's completions with a prompt of ids: vLLM, SGLang, and others that keep to vLLM's fields.

    Ids come as `token_ids`, or as the names of log-probabilities in servers too old for that. From a server
    that gives neither there is text, in which control tokens are spelled.
    """

    path = "/v1/completions"
    events = True

    def body(self, model: str | None, ids: Sequence[int], options: Mapping[str, Any]) -> dict[str, Any]:
        bias = options.get("logit_bias")
        return {
            **({} if model is None else {"model": model}),
            "prompt": list(ids),
            **_renamed(options, "max_tokens", "temperature", "top_k", "top_p", "min_p", "seed"),
            "stop_token_ids": sorted(options["stop"]),
            **({"logit_bias": {str(token): value for token, value in bias.items()}} if bias else {}),
            "stream": True,
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
            "return_token_ids": True,
        }

    def piece(self, answer: dict[str, Any], seen: int) -> Piece:
        choices = answer.get("choices")
        if not isinstance(choices, list):
            raise StreamError(f"expected choices, got {excerpt(repr(answer))}")
        if not choices:
            return Piece([])  # Usage, at the end.
        choice = _table(choices[0], "choices[0]")
        finish, stop = choice.get("finish_reason"), choice.get("stop_reason")
        end = {"stop": "stop", "length": "length", None: None}.get(finish, "")
        if end == "":
            raise StreamError(f"the server gave up: finish_reason {excerpt(repr(finish))}")
        stopped_at = stop if _is_id(stop) else None
        ids = choice.get("token_ids")
        if ids is None:
            ids = self._from_logprobs(choice.get("logprobs"))
        if ids is None:
            return Piece([], _text(choice.get("text")), end, stopped_at)
        return Piece(_ids(ids), "", end, stopped_at)

    @staticmethod
    def _from_logprobs(logprobs: object) -> list[int] | None:
        names = logprobs.get("tokens") if isinstance(logprobs, dict) else None
        prefix = "token_id:"
        if not isinstance(names, list) or not all(isinstance(n, str) and n.startswith(prefix) for n in names):
            return None
        numbers = [name.removeprefix(prefix) for name in names]
        # More digits than an id has are none; Python would take its time over a million of them.
        return [int(n) if n.isascii() and n.isdigit() and len(n) < 8 else -1 for n in numbers]


class SGLang:
    """SGLang's own `/generate`, with ids in and out."""

    path = "/generate"
    events = True

    def body(self, model: str | None, ids: Sequence[int], options: Mapping[str, Any]) -> dict[str, Any]:
        bias = options.get("logit_bias")
        return {
            "input_ids": list(ids),
            "sampling_params": {
                **_renamed(
                    options,
                    "temperature",
                    "top_k",
                    "top_p",
                    "min_p",
                    max_tokens="max_new_tokens",
                    seed="sampling_seed",
                ),
                "stop_token_ids": sorted(options["stop"]),
                **({"logit_bias": {str(token): value for token, value in bias.items()}} if bias else {}),
                "skip_special_tokens": False,
                "no_stop_trim": True,
            },
            "stream": True,
        }

    def piece(self, answer: dict[str, Any], seen: int) -> Piece:
        meta = _table(answer.get("meta_info"), "meta_info")
        ids = _ids(answer.get("output_ids"))
        total = meta.get("completion_tokens")
        # How the server was started decides whether it says all ids each time or only the new ones.
        if total == len(ids) >= seen:
            ids = ids[seen:]
        elif total != seen + len(ids):
            raise StreamError(f"{len(ids)} ids for {excerpt(repr(total))} tokens, {seen} of which had come")
        reason = meta.get("finish_reason")
        if reason is None:
            return Piece(ids)
        kind, matched = _table(reason, "finish_reason").get("type"), reason.get("matched")
        if kind not in ("stop", "length"):
            raise StreamError(f"the server gave up: {excerpt(repr(reason))}")
        return Piece(ids, "", kind, matched if _is_id(matched) else None)


class LlamaServer:
    """llama-server's own `/completion`. Its stop tokens are the model's, calls among them.

    It sends no id of a token that ends inside a character, but the whole character with the next one. There
    the ids are those of the text, which is never lost.
    """

    path = "/completion"
    events = True

    def body(self, model: str | None, ids: Sequence[int], options: Mapping[str, Any]) -> dict[str, Any]:
        bias = options.get("logit_bias")
        return {
            "prompt": list(ids),
            **_renamed(options, "temperature", "top_k", "top_p", "min_p", "seed", max_tokens="n_predict"),
            **({"logit_bias": [[token, value] for token, value in bias.items()]} if bias else {}),
            "stream": True,
            "return_tokens": True,
            "cache_prompt": True,
        }

    def piece(self, answer: dict[str, Any], seen: int) -> Piece:
        ids, content = _ids(answer.get("tokens", [])), _text(answer.get("content"))
        if content and all(token < START_OF_TEXT for token in ids):
            tokenizer = Tokenizer.o200k_harmony()
            if tokenizer.decode_bytes(ids) != content.encode("utf-8"):
                ids = tokenizer.encode_ordinary(content)
        if answer.get("stop") is not True:
            return Piece(ids)
        kind = answer.get("stop_type")
        if kind == "limit":
            return Piece(ids, "", "context" if answer.get("truncated") is True else "length")
        return Piece(ids, "", "stop")


class Ollama:
    """Ollama's `/api/generate` with a raw prompt: text in, text out.

    A prompt whose text spells a control token is refused, for Ollama would take it for one.
    """

    path = "/api/generate"
    events = False

    def body(self, model: str | None, ids: Sequence[int], options: Mapping[str, Any]) -> dict[str, Any]:
        if model is None:
            raise StreamError("Ollama has many models: name one")
        if options.get("logit_bias"):
            raise StreamError("Ollama knows no logit_bias")
        tokenizer = Tokenizer.o200k_harmony()
        prompt = tokenizer.decode(list(ids))
        controls = [token for token in ids if token >= START_OF_TEXT]
        read = tokenizer.encode(prompt, allowed_special="all")
        if [token for token in read if token >= START_OF_TEXT] != controls:
            raise StreamError("the prompt holds text that spells a control token, which Ollama would obey")
        names = ("temperature", "top_k", "top_p", "min_p", "seed")
        settings = _renamed(options, *names, max_tokens="num_predict")
        return {"model": model, "prompt": prompt, "raw": True, "stream": True, "options": settings}

    def piece(self, answer: dict[str, Any], seen: int) -> Piece:
        text = _text(answer.get("response"))
        if answer.get("done") is not True:
            return Piece([], text)
        return Piece([], text, "length" if answer.get("done_reason") == "length" else "stop")


DIALECTS: Final[dict[str, Dialect]] = {
    "completions": Completions(),
    "sglang": SGLang(),
    "llama-server": LlamaServer(),
    "ollama": Ollama(),
}
"""By name. `completions` is what vLLM speaks."""


def _renamed(options: Mapping[str, Any], *names: str, **renamed: str) -> dict[str, Any]:
    """The options there are, under the server's names for them."""
    theirs = {**{name: name for name in names}, **renamed}
    return {their: options[ours] for ours, their in theirs.items() if ours in options}


def _ids(found: object) -> list[int]:
    if not isinstance(found, list) or not all(map(_is_id, found)):
        raise StreamError(f"expected ids from 0 to {N_VOCAB - 1}, got {excerpt(repr(found)[:300])}")
    return found


def _is_id(found: object) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found < N_VOCAB


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise StreamError(f"expected text, got {excerpt(repr(found)[:300])}")
    # JSON can spell halves of characters, which are no text.
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _table(found: object, name: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise StreamError(f"expected {name} to be an object, got {excerpt(repr(found)[:300])}")
    return found
