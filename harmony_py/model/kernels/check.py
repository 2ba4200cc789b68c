"""Whether the Triton kernels compute on a device what plain torch computes there, before they are trusted.

A compiler stands between what was tested and what runs, and it differs from machine to machine.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from harmony_py.model import ops
from harmony_py.model.cache import Cache
from harmony_py.model.config import ModelConfig
from harmony_py.model.forward import Decoder, Row
from harmony_py.model.random_weights import random_field
from harmony_py.model.weights import Mxfp4, build, unquantised

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from harmony_py.model.weights import Weights

SMALL: Final = ModelConfig(
    layers=2,
    experts=3,
    experts_per_token=3,
    hidden=160,
    intermediate=96,
    heads=4,
    kv_heads=2,
    vocab=96,
    sliding_window=8,
)
"""Every expert is chosen, so that rounding cannot choose others."""

ALLOWED: Final = {torch.float32: 1e-4, torch.bfloat16: 1e-2}
"""By how much an operation's results may be apart, of their size. Torch's own in bfloat16 are by 0.004."""

STEP: Final = 4
"""So many times that for a whole step. Torch's own in bfloat16 are by 0.014."""

EXACT: Final = torch.float64
"""What it is compared with. Whoever lets float32 be multiplied less exactly, does not mean this."""

TOKENS: Final = (1, 3, 20)
"""One, a few, and so many that they are sorted by expert."""

STEPS: Final = (([1, 2, 3], [4]), ([5], [6, 7]), ([8], [9]), ([10], [11]))
"""What two conversations say, a step at a time. The last is a repetition of what was recorded."""


class Difference(NamedTuple):
    """How far apart both were."""

    what: str
    found: float
    allowed: float


@functools.cache
def fault(device: str | torch.device) -> str | None:
    """What is wrong with the Triton kernels on `device`; None if nothing is. Looked at once in a process."""
    try:
        wrong = [each for each in differences(device) if not each.found <= each.allowed]
    except Exception as error:
        # Whatever the compiler, the driver or an import says: the caller passes it on.
        return f"{type(error).__name__}: {error}"
    return f"{wrong[0].what} is off by {wrong[0].found:.1e}" if wrong else None


def differences(
    device: str | torch.device, dtypes: tuple[torch.dtype, ...] = tuple(ALLOWED)
) -> Iterator[Difference]:
    """Everything that there is, on a small model, beside torch's."""
    kernels = import_module("harmony_py.model.kernels.triton")
    weights = small_weights(device)
    for dtype in dtypes:
        for tokens in TOKENS:
            for what, found, expected in _operations(kernels, weights, tokens, dtype):
                yield Difference(f"{what} of {tokens} in {dtype}", _apart(found, expected), ALLOWED[dtype])
        yield from _steps(weights, dtype)


def small_weights(device: str | torch.device) -> Weights:
    """Of `SMALL`, the same ones everywhere."""

    def get(name: str, layer: int | None) -> Tensor | Mxfp4:
        field = random_field(SMALL, 0, name, layer)
        return Mxfp4(*(part.to(device) for part in field)) if isinstance(field, Mxfp4) else field.to(device)

    return build(SMALL.layers, get)


def _operations(
    kernels: object, weights: Weights, tokens: int, dtype: torch.dtype
) -> Iterator[tuple[str, Tensor, Tensor]]:
    attention, experts = weights.layers[0]
    device = weights.embedding.device
    x = torch.randn(tokens, SMALL.hidden, generator=torch.Generator().manual_seed(tokens)).to(device, dtype)
    chosen = torch.arange(SMALL.experts, device=device).repeat(tokens, 1)
    shares = torch.rand(chosen.shape, generator=torch.Generator().manual_seed(tokens)).to(device)
    assert isinstance(experts.gate_up, Mxfp4)
    assert isinstance(experts.down, Mxfp4)
    one = experts.gate_up.blocks[1], experts.gate_up.scales[1], experts.gate_up_bias[1]
    up, down = (*experts.gate_up, experts.gate_up_bias), (*experts.down, experts.down_bias)
    arguments = {
        "linear": (unquantised(attention.query), attention.query_bias),
        "mxfp4_linear": one,
        "moe": (chosen, shares, *up, *down, SMALL.swiglu_limit),
    }
    for name, rest in arguments.items():
        yield name, getattr(kernels, name)(x, *rest), getattr(ops, name)(x.to(EXACT), *rest)


def _steps(weights: Weights, dtype: torch.dtype) -> Iterator[Difference]:
    """Two conversations, some steps of both together, beside the slow twin; on a GPU as recorded and not."""
    step = import_module("harmony_py.model.cuda").Step(SMALL, weights, dtype)
    slow = Decoder(SMALL, weights, ops.TORCH, EXACT)
    caches, slow_caches = (
        [Cache(SMALL, dtype=each, device=slow.device) for _ in range(2)] for each in (dtype, EXACT)
    )
    for start, ids in enumerate(STEPS):
        rows = [Row(*row, wanted=len(row[1])) for row in zip(caches, ids, strict=True)]
        slow_rows = [Row(*row, wanted=len(row[1])) for row in zip(slow_caches, ids, strict=True)]
        expected = torch.cat(slow.run(slow_rows))
        found = step.run(rows)
        yield Difference(f"step {start} in {dtype}", _apart(found, expected), STEP * ALLOWED[dtype])
        if slow.device.type == "cuda":
            again = step.run(rows, record=False)
            yield Difference(
                f"step {start} in {dtype}, not recorded", float(not torch.equal(found, again)), 0
            )
        for row in rows:
            row.cache.commit(row.ids)


def _apart(found: Tensor, expected: Tensor) -> float:
    return float((found.to(EXACT) - expected.to(EXACT)).norm() / expected.to(EXACT).norm())
