"""A step of a few tokens by the Triton kernels: buffers that stay where they are, and one CUDA graph.

`forward.py` is the slow twin, and does whatever this is not made for: prompts, and experts that are not
packed. The tokens may be those of several conversations, or guesses of one: each has a place in a table that
says where its cache lies. So what was recorded serves any caches, wherever they are and however they grew.

Never run on a device yet.
"""

from __future__ import annotations

import weakref
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import torch

from harmony_py.model.forward import Decoder, check_room
from harmony_py.model.kernels.triton import attend, dense, experts, on_device_of, route
from harmony_py.model.rope import Turns, turns
from harmony_py.model.weights import Int8, Mxfp4, unquantised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from harmony_py.model.cache import Band
    from harmony_py.model.config import ModelConfig
    from harmony_py.model.forward import Row
    from harmony_py.model.ops import Kernels
    from harmony_py.model.weights import Attention, Experts, Weights

MOST: Final = dense.MOST
"""Tokens of a step. More are left to the slow twin."""

_FIELDS: Final = 3
"""What the table says of a cache: `attend.Where.table`."""


class StepDecoder(Decoder):
    """A `Decoder` that runs a few tokens at a time by a `Step`. One thread at a time may use it."""

    step: Step

    def run(self, rows: Sequence[Row]) -> list[Tensor]:
        """See `Decoder.run`."""
        if not 0 < sum(len(row.ids) for row in rows) <= MOST:
            return super().run(rows)
        check_room(rows)
        logits = self.step.run(rows)
        for row in rows:
            row.cache.commit(row.ids)
        ends = accumulate(len(row.ids) for row in rows)
        return [logits[end - row.wanted : end] for row, end in zip(rows, ends, strict=True)]


def decoder(config: ModelConfig, weights: Weights, kernels: Kernels, dtype: torch.dtype) -> Decoder:
    """See `forward.decoder`. Experts that are not packed have no step, nor has anything in eight bits."""
    packed = all(isinstance(layer.experts.gate_up, Mxfp4) for layer in weights.layers)
    if not packed or isinstance(weights.unembedding, Int8):
        return Decoder(config, weights, kernels, dtype)
    made = StepDecoder(config, weights, kernels, dtype)
    made.step = Step(config, weights, dtype)
    return made


class Step:
    """What a step needs, and how it is launched.

    On a GPU each number of tokens is recorded when it first comes, and played from then on: the same launches
    on the same buffers, so the same numbers to the last bit.
    """

    def __init__(self, config: ModelConfig, weights: Weights, dtype: torch.dtype) -> None:
        self.config = config
        self.weights = weights
        device = weights.embedding.device
        hidden, pairs = config.hidden, MOST * config.experts_per_token

        def empty(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
            return torch.empty(shape, dtype=dtype, device=device)

        table = turns(config, torch.arange(config.max_context, device=device))
        self.turns = Turns(*(numbers.to(dtype) for numbers in table))
        # Ids, positions and the caches' table in one piece, so that one copy brings them all.
        self.inputs = empty(MOST * (2 + config.layers * _FIELDS), dtype=torch.int64)
        self.x, self.normal, self.planes = (empty(MOST, hidden) for _ in range(3))
        self.projected = empty(MOST, config.query_rows + 2 * config.kv_rows)
        self.query = empty(MOST, config.heads, config.head_dim)
        parts = MOST * config.heads * max(attend.SPLITS)
        self.mixed_parts = empty(parts * config.head_dim, dtype=torch.float32)
        self.highest, self.total = (empty(parts, dtype=torch.float32) for _ in range(2))
        self.mixed = empty(MOST, config.query_rows)
        self.chosen = empty(MOST, config.experts_per_token, dtype=torch.int64)
        self.shares = empty(MOST, config.experts_per_token, dtype=torch.float32)
        self.middle = empty(pairs, config.intermediate)
        self.said = empty(MOST, config.experts_per_token, hidden, dtype=torch.float32)
        self.logits = empty(MOST, config.vocab, dtype=torch.float32)
        # What the table says, by weak references: a conversation that has ended must not stay in memory.
        self._known: list[tuple[weakref.ref[Tensor], int]] = []
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    @torch.no_grad()
    def run(self, rows: Sequence[Row], *, record: bool = True) -> Tensor:
        """The logits behind each token of `rows`, float32 [tokens, vocab].

        Every layer of their caches is written; to commit is left to the caller. Without `record` everything
        is launched anew.
        """
        count = self.prepare(rows)
        with on_device_of(self.x):
            if record and self.x.is_cuda:
                self.play(count)
            else:
                self.launch(count)
        return self.logits[:count].clone()

    def prepare(self, rows: Sequence[Row]) -> int:
        """Tells the device of the tokens and where their caches lie; how many tokens there are."""
        ids = [token for row in rows for token in row.ids]
        places = [row.cache.length + i for row in rows for i in range(len(row.ids))]
        spare = [0] * (MOST - len(ids))
        known = [*ids, *spare, *places, *spare]
        tokens = [row.cache.reserve(len(row.ids)) for row in rows for _ in row.ids]
        bands = [token[layer] for layer in range(self.config.layers) for token in tokens]
        lain, self._known = self._known, []
        if not _lie(bands, lain):
            lain = [(weakref.ref(band.numbers), band.first) for band in bands]
            for at in range(0, len(bands), len(tokens)):
                for band in bands[at : at + len(tokens)]:
                    known += band.numbers.data_ptr(), band.numbers.shape[2], band.first
                known += spare * _FIELDS
        self.inputs[: len(known)].copy_(torch.tensor(known))
        # Only now: if anything stops it before, the table is written anew.
        self._known = lain
        return len(ids)

    def play(self, count: int) -> None:
        """Runs the model on the first `count` tokens of the inputs, as it was recorded."""
        if count not in self._graphs:
            # Once before it is recorded: kernels are compiled, which a recording does not allow.
            self.launch(count)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.launch(count)
            self._graphs[count] = graph
        self._graphs[count].replay()

    def launch(self, count: int) -> None:
        """The same, launched kernel by kernel."""
        said = None
        x = self.x[:count]
        x.copy_(self.weights.embedding[self.inputs[:count]])
        for index, layer in enumerate(self.weights.layers):
            self._normalise(count, said, layer.attention.norm)
            self._attend(count, index, layer.attention)
            said = self._consult(count, layer.experts)
        self._normalise(count, said, self.weights.norm)
        unembedding = unquantised(self.weights.unembedding)
        dense.linear(self.normal[:count], unembedding, None, None, self.logits[:count])

    def _normalise(self, count: int, said: Tensor | None, norm: Tensor) -> None:
        route.normalise(self.x[:count], said, norm, self.config.norm_eps, self.normal[:count])

    def _attend(self, count: int, index: int, weights: Attention) -> None:
        config, window = self.config, self.config.window(index)
        query, key, value, out = map(unquantised, (weights.query, weights.key, weights.value, weights.out))
        parts = (query, weights.query_bias), (key, weights.key_bias), (value, weights.value_bias)
        dense.project(self.normal[:count], parts, self.projected)
        start = MOST * (2 + index * _FIELDS)
        where = attend.Where(self.inputs[MOST:], self.inputs[start:])
        queries = self.query[:count]
        attend.turn_and_write(self.projected, self.turns, where, queries, config.kv_heads)
        found = attend.Parts(self.mixed_parts, self.highest, self.total)
        attend.attend(queries, where, weights.sinks, window, config.kv_heads, found, self.mixed)
        x = self.x[:count]
        dense.linear(self.mixed[:count], out, weights.out_bias, x, x)

    def _consult(self, count: int, weights: Experts) -> Tensor:
        config = self.config
        planes, chosen, shares = self.planes[:count], self.chosen[:count], self.shares[:count]
        router = weights.router, weights.router_bias
        route.route(self.x[:count], weights.norm, config.norm_eps, *router, planes, chosen, shares)
        middle, said = self.middle[: chosen.numel()], self.said[:count]
        gate_up, down = weights.gate_up, weights.down
        assert isinstance(gate_up, Mxfp4)
        assert isinstance(down, Mxfp4)
        experts.inner(planes, chosen, *gate_up, weights.gate_up_bias, config.swiglu_limit, middle)
        experts.outer(middle, chosen, shares, *down, weights.down_bias, said)
        return said


def _lie(bands: Sequence[Band], known: Sequence[tuple[weakref.ref[Tensor], int]]) -> bool:
    """Whether these lie where others lay before."""
    return len(bands) == len(known) and all(
        before() is band.numbers and first == band.first
        for band, (before, first) in zip(bands, known, strict=True)
    )
