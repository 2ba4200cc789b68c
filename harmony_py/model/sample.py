"""From logits to a token: what may be drawn, how likely each is, and the draw itself.

The order is fixed: what the mask forbids and what `logit_bias` adds, then the temperature, then `top_k`,
`top_p` of what is left, and `min_p`. A filter that takes nothing away changes nothing.

A draw is one number between 0 and 1, hashed from the seed and the step, laid on the cumulative probabilities
in the order of the ids. So the same seed draws the same token whatever else runs, whatever the batch and
whether or not tokens were guessed ahead; no generator holds a state that anybody could advance.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from harmony_py.errors import SamplingError
from harmony_py.tokenizer.special import SAMPLING_STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

STOP: Final = SAMPLING_STOP_TOKENS
"""What ends a turn. A message's end is none of these: after a thought comes an answer."""

RANKED_AT_ONCE: Final = (256, 4096)
"""How many of the likeliest tokens `top_p` looks at before it sorts them all, which takes far longer."""

BLOCK: Final = 1024
"""So many weights are summed at once to find a place among all."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen and when it ends. Every field is checked; a wrong one raises `SamplingError`."""

    temperature: float = 1.0
    """0 takes the likeliest token, of several the one with the lowest id; the filters then do nothing."""
    top_k: int | None = None
    """Only the so many likeliest; of equals at the edge, those with the lowest ids."""
    top_p: float | None = None
    """Only the fewest likeliest tokens that hold this share of what `top_k` left."""
    min_p: float | None = None
    """Only tokens at least this share as likely as the likeliest."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Added to the logits of these tokens; minus infinity forbids one."""
    seed: int | None = None
    """The same seed draws the same tokens. None: a new one each time, which the generation tells."""
    logprobs: int = 0
    """How many of the likeliest tokens each step reports."""
    max_tokens: int | None = None
    """None: as many as the context holds. 0: the prompt is read into the cache and nothing is drawn."""
    stop: Collection[int] = STOP
    """The step that draws one of these is the last."""

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, "a finite number from 0", _is_number, lambda x: x >= 0)
        _check("top_k", self.top_k, "None or an integer from 1", _is_integer, lambda k: k >= 1)
        _check("top_p", self.top_p, "None or a number above 0, up to 1", _is_number, lambda p: 0 < p <= 1)
        _check("min_p", self.min_p, "None or a number from 0 to 1", _is_number, lambda p: 0 <= p <= 1)
        _check("seed", self.seed, "None or an integer", _is_integer)
        _check("logprobs", self.logprobs, "an integer from 0", _is_integer, lambda n: n >= 0)
        _check("max_tokens", self.max_tokens, "None or an integer from 0", _is_integer, lambda n: n >= 0)
        if not isinstance(self.logit_bias, Mapping):
            raise SamplingError("logit_bias", self.logit_bias, "a mapping from ids to numbers")
        for token, bias in self.logit_bias.items():
            _check("logit_bias", token, "ids of tokens as keys", _is_integer, lambda i: i >= 0)
            if bias != -math.inf:
                _check(f"logit_bias[{token}]", bias, "a finite number or minus infinity", _is_number)
        if not isinstance(self.stop, Collection):
            raise SamplingError("stop", self.stop, "a collection of ids of tokens")
        for token in self.stop:
            _check("stop", token, "ids of tokens", _is_integer, lambda i: i >= 0)


def _check(
    name: str,
    value: object,
    expected: str,
    kind: Callable[[object], bool],
    holds: Callable[..., bool] = lambda _: True,
) -> None:
    optional = expected.startswith("None")
    if not (optional and value is None) and not (kind(value) and holds(value)):
        raise SamplingError(name, value, expected)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return (_is_integer(value) or isinstance(value, float)) and math.isfinite(value)  # type: ignore[arg-type]


class Drawn(NamedTuple):
    """A token, and what the model itself thought of it and of the likeliest ones."""

    token: int
    logprob: float
    top_logprobs: tuple[tuple[int, float], ...]


class Sampler:
    """Draws for one sequence. Log-probabilities are the model's own, before mask, bias and filters.

    That is what OpenAI's API and vLLM report by default: they say how likely a text is, not how it was drawn.
    """

    def __init__(self, sampling: Sampling, vocab: int) -> None:
        for name, ids in (("logit_bias", sampling.logit_bias), ("stop", sampling.stop)):
            if beyond := [token for token in ids if token >= vocab]:
                # What the vocabulary lacks stops nothing; small models lack the default ones.
                if name == "stop" and sampling.stop is STOP:
                    continue
                raise SamplingError(name, beyond[0], f"ids below the vocabulary's {vocab}")
        self.sampling = sampling
        self.seed = secrets.randbits(63) if sampling.seed is None else sampling.seed
        self._biased = torch.tensor(list(sampling.logit_bias), dtype=torch.int64)
        self._bias = torch.tensor(list(sampling.logit_bias.values()), dtype=torch.float32)

    def draw(self, logits: Tensor, step: int, allowed: Tensor | None = None) -> Drawn:
        """The token of this step, by logits [vocab] in float32 and where they are `allowed`."""
        scores = self._scores(logits, allowed)
        token = likeliest(scores)
        best = float(scores[token])
        if not math.isfinite(best):
            raise SamplingError("logits", best, _UNUSABLE.get(best, "numbers, and none of them NaN"))
        if self.sampling.temperature > 0:
            ids, weights = candidates(scores, self.sampling)
            token = int(ids[pick(weights, uniform(self.seed, step))])
        logprobs = logits.log_softmax(0)
        top = ranked(logprobs, min(self.sampling.logprobs, len(logits)))
        return Drawn(
            token, float(logprobs[token]), tuple(zip(top.tolist(), logprobs[top].tolist(), strict=True))
        )

    def _scores(self, logits: Tensor, allowed: Tensor | None) -> Tensor:
        scores = logits if allowed is None else logits.masked_fill(~allowed, -math.inf)
        if not len(self._biased):
            return scores
        device = logits.device
        return scores.index_add(0, self._biased.to(device), self._bias.to(device))


_UNUSABLE: Final = {
    -math.inf: "at least one token that mask and logit_bias leave; they forbid every one",
    math.inf: "finite numbers",
}


def likeliest(scores: Tensor) -> int:
    """The id of the highest score, of equals the lowest id; of one that is NaN, if there is any."""
    # On the processor numpy finds it ten times as fast as torch.
    return int(scores.numpy().argmax()) if scores.is_cpu else int(scores.argmax())


def candidates(scores: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Ids that may be drawn, ascending, and their weights: the likeliest's is 1."""
    weights = ((scores - scores.max()) / sampling.temperature).exp_()
    ids = _filtered(weights, sampling)
    if ids is None:
        # Picking all of two hundred thousand would take longer than the rest.
        return torch.arange(len(weights), device=weights.device), weights
    return ids, weights[ids]


def _filtered(weights: Tensor, sampling: Sampling) -> Tensor | None:
    """The ids that the filters leave, ascending; None for all."""
    ids = None
    if sampling.top_k is not None and sampling.top_k < len(weights):
        ids = ranked(weights, sampling.top_k)
    if sampling.top_p is not None and sampling.top_p < 1:
        ids = _nucleus(weights, sampling.top_p) if ids is None else _head(ids, weights, sampling.top_p)
    if sampling.min_p:
        above = weights >= sampling.min_p
        ids = above.nonzero().flatten() if ids is None else ids[above[ids]]
    return None if ids is None else ids.sort().values


def ranked(values: Tensor, count: int) -> Tensor:
    """The ids of the `count` highest values, highest first, of equals the lower id first."""
    if count == 0:
        return torch.empty(0, dtype=torch.int64, device=values.device)
    if count < len(values):
        least = values.topk(count).values[-1]
        ids = (values >= least).nonzero().flatten()
    else:
        ids = torch.arange(len(values), device=values.device)
    return ids[values[ids].sort(descending=True, stable=True).indices[:count]]


def _nucleus(weights: Tensor, share: float) -> Tensor:
    """The fewest likeliest ids that hold this share of all weight. Usually few do: it looks at few first."""
    total = _total(weights)
    for count in RANKED_AT_ONCE:
        if count < len(weights):
            ids = ranked(weights, count)
            if _total(weights[ids]) >= share * total:
                return _head(ids, weights, share, total)
    return _head(ranked(weights, len(weights)), weights, share)


def _head(ids: Tensor, weights: Tensor, share: float, total: float | None = None) -> Tensor:
    """As many of `ids` as it takes to hold this share of `total`, by default of their own weight."""
    sums = weights[ids].cumsum(0, dtype=torch.float64)
    wanted = share * (float(sums[-1]) if total is None else total)
    return ids[: int((sums < wanted).sum()) + 1]


def _total(weights: Tensor) -> float:
    return float(weights.sum(dtype=torch.float64))


def uniform(seed: int, step: int) -> float:
    """A number from 0 up to 1, excluded, that nothing but these two decide: 53 bits of their hash."""
    digest = hashlib.blake2b(f"{seed} {step}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) / (1 << 53)


def pick(weights: Tensor, share: float) -> int:
    """The place that has `share` of all weight to its left; never one of weight 0."""
    # Blocks first, and then within one: a running sum over two hundred thousand takes ten times as long.
    rows = torch.nn.functional.pad(weights, (0, -len(weights) % BLOCK)).view(-1, BLOCK)
    totals = rows.sum(dim=1, dtype=torch.float64).cumsum(0)
    target = totals[-1] * share
    block = _reached(totals, target)
    before = totals[block - 1] if block else 0
    return block * BLOCK + _reached(rows[block].cumsum(0, dtype=torch.float64), target - before)


def _reached(sums: Tensor, target: Tensor) -> int:
    """The place in a running sum where it exceeds `target`; the last that adds to it, if none does."""
    index = torch.searchsorted(sums, target, right=True)
    last = torch.searchsorted(sums, sums[-1])
    return int(torch.minimum(index, last))
