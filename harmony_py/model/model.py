"""A loaded model: the one object that most people hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from harmony_py.errors import CheckpointError, SamplingError
from harmony_py.model import checkpoint, int8, memory, reference
from harmony_py.model.cache import Cache
from harmony_py.model.forward import CHUNK, decoder
from harmony_py.model.generate import Answer, Batch, Generation, Options, checked_prompt, start
from harmony_py.model.ops import kernels as kernels_of
from harmony_py.model.pool import Pool
from harmony_py.model.sample import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike
    from typing import SupportsIndex

    from torch import Tensor

    from harmony_py.model.config import ModelConfig
    from harmony_py.model.generate import Progress
    from harmony_py.model.mask import Mask
    from harmony_py.model.weights import Weights

DTYPES: Final = {"auto": torch.bfloat16, "bfloat16": torch.bfloat16, "float32": torch.float32}

DENSE: Final = ("stored", "int8")
"""How matrices are held that are not MXFP4."""


def load(
    path: str | PathLike[str],
    *,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype = "auto",
    kernels: str = "auto",
    max_context: int | None = None,
    dense: str = "stored",
    progress: Progress | None = None,
) -> Model:
    """The model in the directory `path`, in any of the layouts that `checkpoint` knows.

    `dtype` is what it computes in: bfloat16, as the model was made for, or float32, for comparisons. Weights
    stay as they are stored, and on the CPU where they are stored: of the numbers only the scales of MXFP4 are
    read, since one that is NaN would spoil every answer. `max_context` limits what prompt and answer may come
    to. `kernels` are `ops.kernels`' names; `"triton"`, for GPUs, has never run on a device, only in Triton's
    interpreter, and `"auto"` takes it there only once it has computed what torch does.

    `dense="int8"`, on the CPU, rounds attention's matrices and the unembedding to eight bits (`int8.py`): a
    copy of about half their size, which takes some seconds to make and less time to read for each token.
    Answers may differ then. `progress` is told after each matrix how many are done, of how many.

    Raises `CheckpointError` if the files are not right, or if `device` has not the memory for the weights and
    one conversation of `max_context` tokens.
    """
    opened = checkpoint.open(path)
    wanted = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if wanted is None or wanted not in DTYPES.values():
        raise CheckpointError(f"dtype: expected one of {', '.join(DTYPES)}, found {dtype!r}")
    context = opened.config.max_context if max_context is None else max_context
    if not 0 < context <= opened.config.max_context:
        expected = f"a number of tokens from 1 to {opened.config.max_context}"
        raise CheckpointError(f"max_context: expected {expected}, found {max_context!r}")
    if dense not in DENSE:
        raise CheckpointError(f"dense: expected one of {', '.join(DENSE)}, found {dense!r}")
    if dense == "int8" and torch.device(device).type != "cpu":
        raise CheckpointError(f"dense 'int8': expected the device to be the CPU, found {device}")
    weights_bytes = opened.bytes_with_int8() if dense == "int8" else opened.bytes()
    needed = weights_bytes + opened.config.cache_bytes(context, wanted.itemsize)
    memory.require(needed, device, f"the weights of {opened.path} and a context of {context} tokens")
    opened.check_scales()
    weights = opened.weights(device)
    if dense == "int8":
        weights = int8.quantised(weights, progress)
    return Model(opened.config, weights, dtype=wanted, kernels=kernels, max_context=max_context)


class Model:
    """Ids in, ids out. It holds no conversation: that is a `Cache`, a new one for each call without one."""

    def __init__(
        self,
        config: ModelConfig,
        weights: Weights,
        *,
        dtype: torch.dtype = torch.bfloat16,
        kernels: str = "auto",
        max_context: int | None = None,
    ) -> None:
        self.config: Final = config
        self.weights: Final = weights
        self.max_context: Final = config.max_context if max_context is None else max_context
        self.decoder: Final = decoder(config, weights, kernels_of(kernels, weights.embedding.device), dtype)

    @property
    def device(self) -> torch.device:
        return self.decoder.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return self.decoder.dtype

    def logits(self, ids: Iterable[SupportsIndex]) -> Tensor:
        """The logits behind each of `ids`, float32 [length, vocab]: by the reference, uncached and slowly."""
        checked = checked_prompt(ids, self.config.vocab)
        tensor = torch.tensor(checked, device=self.device)
        return reference.forward(self.weights, self.config, tensor, dtype=self.dtype)

    def new_cache(self) -> Cache:
        """For one conversation. Grows as it does."""
        return Cache(self.config, max_context=self.max_context, dtype=self.dtype, device=self.device)

    def generate(
        self,
        ids: Iterable[SupportsIndex],
        sampling: Sampling | None = None,
        *,
        mask: Mask | None = None,
        cache: Cache | None = None,
        speculate: int = 0,
        chunk: int = CHUNK,
        progress: Progress | None = None,
    ) -> Generation:
        """Go on from `ids`, a token at a time.

        What `cache` already holds of them is not run again. `speculate` is how many tokens are guessed at a
        time and tried at once; the answer stays the same. The prompt is read `chunk` tokens at a time, and
        `progress` is told after each chunk how many are done, of how many.

        Raises `PromptError` and `SamplingError` at once, before anything is run.
        """
        options = Options(speculate, chunk, progress)
        cache = self.new_cache() if cache is None else cache
        answer = start(self.decoder, ids, sampling or Sampling(), mask, cache, options)
        return Generation(self.decoder, answer, options)

    def generate_batch(
        self,
        prompts: Sequence[Iterable[SupportsIndex]],
        sampling: Sampling | Sequence[Sampling] | None = None,
        *,
        masks: Sequence[Mask | None] | None = None,
        caches: Sequence[Cache] | None = None,
        speculate: int = 0,
        chunk: int = CHUNK,
        progress: Progress | None = None,
    ) -> Batch:
        """Go on from several prompts together, which reads the weights once for all of them.

        `sampling` is one for all or one each; a seed draws the same answer to a prompt in each of its rows.
        """
        if sampling is None or isinstance(sampling, Sampling):
            sampling = [sampling or Sampling()] * len(prompts)
        caches = [self.new_cache() for _ in prompts] if caches is None else caches
        masks = [None] * len(prompts) if masks is None else masks
        for name, given in (("sampling", sampling), ("masks", masks), ("caches", caches)):
            if len(given) != len(prompts):
                raise SamplingError(name, f"{len(given)}", f"one for each of {len(prompts)} prompts")
        if len({id(cache) for cache in caches}) < len(caches):
            raise SamplingError("caches", "the same one twice", "a cache of its own for each prompt")
        options = Options(speculate, chunk, progress)
        answers = [
            start(self.decoder, *asked, options)
            for asked in zip(prompts, sampling, masks, caches, strict=True)
        ]
        return Batch(self.decoder, answers, options)

    def pool(self, *, chunk: int = CHUNK) -> Pool:
        """For answers that begin and end at any time, as a server's do: `answer` makes them, and they are
        added to it."""
        return Pool(self.decoder, chunk=chunk)

    def answer(
        self,
        ids: Iterable[SupportsIndex],
        sampling: Sampling | None = None,
        *,
        mask: Mask | None = None,
        cache: Cache | None = None,
        speculate: int = 0,
    ) -> Answer:
        """What `generate` would draw, for a `Pool` to draw. Raises what `generate` does."""
        cache = self.new_cache() if cache is None else cache
        return start(self.decoder, ids, sampling or Sampling(), mask, cache, Options(speculate))
