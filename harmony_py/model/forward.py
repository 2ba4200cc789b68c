"""The model with a cache: each token is run once, and only the logits that somebody wants are computed.

`reference.py` says the same without a cache. Here several conversations may take a step together: their
tokens lie one behind the other, every row of weights is read once for all of them, and attention alone goes
by each one's own cache. So they may be of any lengths, and one may read its prompt while others speak.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from harmony_py.errors import PromptError
from harmony_py.model.reference import normalise
from harmony_py.model.rope import turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from harmony_py.model.cache import Cache
    from harmony_py.model.config import ModelConfig
    from harmony_py.model.ops import Kernels
    from harmony_py.model.rope import Turns
    from harmony_py.model.weights import Attention, Experts, Weights

CHUNK: Final = 512
"""Tokens of a prompt that are run at once: enough to be worth reading the weights for, little to hold."""

QUERIES: Final = 128
"""Tokens whose scores are computed at once: about as many as a sliding layer sees."""

FEW: Final = 16
"""The scores of so few tokens are computed one by one. Guesses come out as they would alone then, to the last
bit, with kernels that no token beside one changes; the processor's are such."""

SCORES: Final = 1 << 25
"""So many scores are held at once, whatever the context: 128 MB."""


class Row(NamedTuple):
    """One conversation's part in a step."""

    cache: Cache
    ids: Sequence[int]
    """What to run behind what the cache holds."""
    wanted: int = 1
    """Of so many of them, the last ones, the logits are wanted."""


def decoder(config: ModelConfig, weights: Weights, kernels: Kernels, dtype: torch.dtype) -> Decoder:
    """What runs a model by these kernels. With Triton's a few tokens have a faster way of their own."""
    if kernels.name != "triton":
        return Decoder(config, weights, kernels, dtype)
    made: Decoder = import_module("harmony_py.model.cuda").decoder(config, weights, kernels, dtype)
    return made


class Decoder(NamedTuple):
    """A model ready to run."""

    config: ModelConfig
    weights: Weights
    kernels: Kernels
    dtype: torch.dtype

    @property
    def device(self) -> torch.device:
        return self.weights.embedding.device

    @torch.no_grad()
    def run(self, rows: Sequence[Row]) -> list[Tensor]:
        """Each row's logits, float32 [wanted, vocab]. Its ids are in its cache then, unless it fails."""
        check_room(rows)
        ids = torch.tensor([token for row in rows for token in row.ids], device=self.device)
        places = [row.cache.length + i for row in rows for i in range(len(row.ids))]
        turn = turns(self.config, torch.tensor(places, device=self.device))
        x = self.weights.embedding[ids].to(self.dtype)
        for index, layer in enumerate(self.weights.layers):
            x = x + self._attend(x, index, layer.attention, turn, rows)
            x = x + self._consult(x, layer.experts)
        logits = self._logits(x, rows)
        for row in rows:
            row.cache.commit(row.ids)
        return logits

    def _attend(self, x: Tensor, index: int, weights: Attention, turn: Turns, rows: Sequence[Row]) -> Tensor:
        config, dense = self.config, self.kernels.dense
        x = normalise(x, weights.norm, config.norm_eps)
        queries = turn(dense(x, weights.query, weights.query_bias).view(-1, config.heads, config.head_dim))
        keys = turn(dense(x, weights.key, weights.key_bias).view(-1, config.kv_heads, config.head_dim))
        values = dense(x, weights.value, weights.value_bias).view(-1, config.kv_heads, config.head_dim)
        mixed = []
        lengths = [len(row.ids) for row in rows]
        parts = (torch.split(each, lengths) for each in (queries, keys, values))
        for row, query, key, value in zip(rows, *parts, strict=True):
            seen, read = row.cache.write(index, key.transpose(0, 1), value.transpose(0, 1))
            mixed.append(attention(query, seen, read, weights.sinks, config.window(index)))
        return dense(mixed[0] if len(mixed) == 1 else torch.cat(mixed), weights.out, weights.out_bias)

    def _consult(self, x: Tensor, weights: Experts) -> Tensor:
        x = normalise(x, weights.norm, self.config.norm_eps)
        # Sorted stably, as in the reference: on a tie the first expert wins.
        router = self.kernels.linear(x, weights.router, weights.router_bias)
        scores, experts = router.sort(dim=-1, descending=True, stable=True)
        most = self.config.experts_per_token
        shares = scores[:, :most].float().softmax(dim=-1)
        return self.kernels.mixture(x, experts[:, :most], shares, weights, self.config.swiglu_limit)

    def _logits(self, x: Tensor, rows: Sequence[Row]) -> list[Tensor]:
        wanted = [
            x.narrow(0, end - row.wanted, row.wanted) for row, end in zip(rows, _ends(rows), strict=True)
        ]
        x = normalise(torch.cat(wanted), self.weights.norm, self.config.norm_eps)
        if not len(x):
            return [x.new_empty(0, self.config.vocab, dtype=torch.float32) for _ in rows]
        logits = self.kernels.dense(x, self.weights.unembedding)
        # Row by row: memory for all of them at once would be mapped anew, and its pages cleared, each step.
        return [each.float() for each in torch.split(logits, [row.wanted for row in rows])]

    def prefill(
        self,
        cache: Cache,
        ids: Sequence[int],
        *,
        chunk: int = CHUNK,
        ran: Callable[[int, int], object] = lambda start, end: None,
    ) -> Tensor:
        """The logits behind the last of `ids`, [1, vocab], run a chunk at a time behind what the cache holds.

        `ran` is called after each chunk with where it starts and ends in `ids`.
        """
        for start in range(0, len(ids), chunk):
            part = ids[start : start + chunk]
            last = start + chunk >= len(ids)
            [logits] = self.run([Row(cache, part, wanted=int(last))])
            ran(start, start + len(part))
        return logits

    def bytes_per_token(self, length: int) -> int:
        """What one token alone reads behind `length` others: weights, packed or not, and the cache."""
        config, layer = self.config, self.weights.layers[0]
        dense = sum(part.nbytes for tensor in layer.attention for part in _tensors(tensor))
        experts = layer.experts
        dense += experts.norm.nbytes + experts.router.nbytes + experts.router_bias.nbytes
        matrices = [
            *_tensors(experts.gate_up),
            *_tensors(experts.down),
            experts.gate_up_bias,
            experts.down_bias,
        ]
        chosen = sum(tensor.nbytes for tensor in matrices) * config.experts_per_token // config.experts
        ends = [*_tensors(self.weights.unembedding), self.weights.norm, self.weights.embedding[0]]
        head = sum(tensor.nbytes for tensor in ends)
        return config.layers * (dense + chosen) + head + config.cache_bytes(length, self.dtype.itemsize)


def check_room(rows: Sequence[Row]) -> None:
    """Raises `PromptError` if a row's tokens exceed its context."""
    for row in rows:
        if row.cache.length + len(row.ids) > row.cache.max_context:
            raise PromptError(
                f"{len(row.ids)} tokens behind {row.cache.length} exceed a context of {row.cache.max_context}"
            )


def _tensors(matrix: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return matrix if isinstance(matrix, tuple) else (matrix,)


def _ends(rows: Sequence[Row]) -> Iterator[int]:
    end = 0
    for row in rows:
        end += len(row.ids)
        yield end


def attention(query: Tensor, keys: Tensor, values: Tensor, sinks: Tensor, window: int | None) -> Tensor:
    """What each `query` [n, heads, head_dim] reads from `values`, by `keys`: [n, heads * head_dim].

    Both are [kv_heads, m, head_dim], and the last n of the m are the queries' own. Scores are computed for
    some queries at a time, against no more keys than one of these sees.
    """
    count, heads, _ = query.shape
    past = keys.shape[1] - count
    size = 1 if count <= FEW else max(1, min(QUERIES, SCORES // (heads * keys.shape[1])))
    parts = []
    for start in range(0, count, size):
        part = query[start : start + size]
        low = 0 if window is None else max(0, past + start - window + 1)
        high = past + start + len(part)
        read = _attention_of_one if len(part) == 1 and query.is_cpu else _attention
        parts.append(read(part, keys[:, low:high], values[:, low:high], sinks, window))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _attention(query: Tensor, keys: Tensor, values: Tensor, sinks: Tensor, window: int | None) -> Tensor:
    count, heads, width = query.shape
    kv_heads, seen, _ = keys.shape
    shared = heads // kv_heads
    # A key's queries, those of all heads that share it, side by side: [kv_heads, shared * count, width].
    beside = query.view(count, kv_heads, shared, width).permute(1, 2, 0, 3).reshape(kv_heads, -1, width)
    scores = (beside @ keys.transpose(1, 2)).float().view(kv_heads, shared, count, seen)
    scores *= width**-0.5
    if count > 1:
        back = torch.arange(seen - count, seen, device=keys.device)[:, None] - torch.arange(
            seen, device=keys.device
        )
        unseen = back < 0 if window is None else (back < 0) | (back >= window)
        scores.masked_fill_(unseen, -torch.inf)
    # The sink is a score like the others, but no key: it only adds to what shares are divided by.
    sink = sinks.float().view(kv_heads, shared, 1, 1)
    top = torch.maximum(scores.amax(dim=-1, keepdim=True), sink)
    shares = scores.sub_(top).exp_()
    shares /= shares.sum(dim=-1, keepdim=True) + (sink - top).exp()
    mixed = shares.to(values.dtype).view(kv_heads, -1, seen) @ values
    return mixed.view(kv_heads, shared, count, width).permute(2, 0, 1, 3).reshape(count, -1)


def _attention_of_one(
    query: Tensor, keys: Tensor, values: Tensor, sinks: Tensor, window: int | None
) -> Tensor:
    """`_attention` of one query, in a third of its time: torch's own kernel, which knows no sinks, tells the
    logarithm of what it divided by, and what the sink adds to that is put in afterwards."""
    _, heads, width = query.shape
    kv_heads = len(keys)
    # The heads that share a key are queries side by side.
    beside = query.view(1, kv_heads, heads // kv_heads, width)
    mixed: Tensor
    log_sum: Tensor
    mixed, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        beside, keys[None], values[None], scale=width**-0.5
    )
    share = (log_sum - sinks.float().view(1, kv_heads, -1)).sigmoid()
    return (mixed * share[..., None].to(mixed.dtype)).view(1, -1)
