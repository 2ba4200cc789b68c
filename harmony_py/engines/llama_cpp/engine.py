"""A model in llama.cpp as an engine: ids in, ids out, with our masks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harmony_py.engines import Drawn
from harmony_py.engines.options import options
from harmony_py.errors import EngineError
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import (
    CALL,
    CHANNEL,
    END,
    MESSAGE,
    N_VOCAB,
    RETURN,
    SAMPLING_STOP_TOKENS,
    START,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from harmony_py.engines import Mask

ENGINE: Final = "llama.cpp"

STOP: Final = SAMPLING_STOP_TOKENS

_COMPARED: Final = (0, 1000, 50_000, 100_000, 199_997, START, CHANNEL, MESSAGE, END, RETURN, CALL)
"""Tokens whose text has to be ours: a file with another vocabulary would answer, and in riddles."""


class LlamaCppEngine:
    """A `llama_cpp.Llama` as a `harmony_py.engines.Engine`. One generation at a time.

    `sampling` is a mapping, or an object, with the names in `harmony_py.engines.options`. `extra` goes to
    `Llama.generate` as it is: `grammar`, `repeat_penalty` and what else there is. What a prompt has in common
    with the last one is not run again, as far as llama.cpp can keep it. `EngineError` if the vocabulary is
    not that of gpt-oss.
    """

    def __init__(self, llama: Any, *, extra: Mapping[str, Any] | None = None) -> None:
        self.llama = llama
        self._extra = dict(extra or {})
        _require_vocabulary(llama)

    def generate(
        self, ids: Sequence[int], sampling: Any = None, *, mask: Mask | None = None
    ) -> Iterator[Drawn]:
        """The tokens behind `ids` as they are drawn, the one that ends the turn included."""
        chosen = options(ENGINE, sampling)
        room = self.llama.n_ctx() - len(ids)
        if room < 1:
            raise EngineError(
                ENGINE,
                f"{len(ids)} tokens leave no room for an answer in a context of {self.llama.n_ctx()}",
            )
        most = min(chosen.get("max_tokens", room), room)
        if most < 1:
            return
        if "seed" in chosen:
            self.llama.set_seed(chosen["seed"])
        steps = self.llama.generate(list(ids), **self._arguments(chosen, mask))
        stop = frozenset(chosen.get("stop", STOP))
        try:
            for count, token in enumerate(map(int, steps), 1):
                if mask is not None:
                    mask.advance(token)
                at_limit = "context" if most == room else "length"
                finish = "stop" if token in stop else at_limit if count == most else None
                yield Drawn(token, finish)
                if finish:
                    return
        finally:
            steps.close()

    def _arguments(self, chosen: dict[str, Any], mask: Mask | None) -> dict[str, Any]:
        arguments = {
            "temp": float(chosen.get("temperature", 1.0)),
            # Zero, one, zero: no filter. llama-cpp-python has some of its own where nothing is said.
            "top_k": chosen.get("top_k", 0),
            "top_p": chosen.get("top_p", 1.0),
            "min_p": chosen.get("min_p", 0.0),
            "repeat_penalty": 1.0,
        }
        arguments |= self._extra
        bias = chosen.get("logit_bias")
        if mask is not None or bias:
            others = arguments.get("logits_processor") or []
            arguments["logits_processor"] = [*others, _Processor(mask, bias or {})]
        return arguments


class _Processor:
    """Called once before each draw, with the logits by id."""

    def __init__(self, mask: Mask | None, bias: Mapping[int, float]) -> None:
        self._mask, self._bias = mask, dict(bias)

    def __call__(self, ids: npt.NDArray[np.intc], logits: npt.NDArray[np.single]) -> npt.NDArray[np.single]:
        logits = logits.copy()
        for token, bias in self._bias.items():
            logits[token] += bias
        allowed = None if self._mask is None else self._mask.allowed()
        if allowed is not None:
            permitted = _permitted(allowed, len(logits))
            if not permitted.any():
                raise EngineError(ENGINE, "the mask allows no token")
            logits[~permitted] = -np.inf
        return logits


def _permitted(allowed: object, width: int) -> npt.NDArray[np.bool_]:
    """`allowed`, packed bits or ids, as a boolean for each of `width` ids."""
    if isinstance(allowed, bytes):
        bits = np.unpackbits(np.frombuffer(allowed, np.uint8), bitorder="little")[:width]
        return np.pad(bits.astype(np.bool_), (0, width - len(bits)))
    if not isinstance(allowed, Iterable):
        raise EngineError(ENGINE, f"a mask allowed {type(allowed).__name__}, expected bytes of bits or ids")
    permitted = np.zeros(width, np.bool_)
    permitted[list(allowed)] = True
    return permitted


def _require_vocabulary(llama: Any) -> None:
    """Whether the file has our vocabulary, by its size and some tokens."""
    found = llama.n_vocab()
    if found != N_VOCAB:
        raise EngineError(ENGINE, f"a vocabulary of {found:,} tokens; gpt-oss has {N_VOCAB:,}")
    core = Tokenizer.o200k_harmony()
    for token in _COMPARED:
        theirs, ours = llama.detokenize([token], special=True), core.decode_bytes([token])
        if theirs != ours:
            raise EngineError(ENGINE, f"token {token} is {theirs!r} in this file, {ours!r} in gpt-oss")
