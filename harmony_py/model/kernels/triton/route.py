# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"
"""Between the products: what experts said is added up and normalised, and the next experts are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import triton
import triton.language as tl

from harmony_py.model.kernels.triton.packed import place, raised

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS: Final = 128


def normalise(x: Tensor, parts: Tensor | None, norm: Tensor, eps: float, out: Tensor) -> None:
    """`out` = `reference.normalise` of `x`, to which the sum of `parts` [m, top, hidden] is added before."""
    _normalise[(len(x),)](
        x,
        parts,
        norm,
        out,
        eps,
        hidden=x.shape[1],
        top=0 if parts is None else parts.shape[1],
        block=triton.next_power_of_2(x.shape[1]),
        num_warps=8,
        enable_fp_fusion=True,
    )


def route(
    x: Tensor,
    norm: Tensor,
    eps: float,
    router: Tensor,
    bias: Tensor,
    out: Tensor,
    chosen: Tensor,
    shares: Tensor,
) -> None:
    """`x` normalised, as planes in `out`, and each token's experts and shares, as `reference.route`."""
    _route[(len(x),)](
        x,
        norm,
        router,
        bias,
        out,
        chosen,
        shares,
        eps,
        hidden=x.shape[1],
        count=len(router),
        top=chosen.shape[1],
        block=triton.next_power_of_2(x.shape[1]),
        step=COLUMNS,
        experts=triton.next_power_of_2(len(router)),
        slots=triton.next_power_of_2(chosen.shape[1]),
        num_warps=8,
        enable_fp_fusion=True,
    )


@triton.jit
def _normalise(x, parts, norm, out, eps, hidden: tl.constexpr, top: tl.constexpr, block: tl.constexpr):
    token = tl.program_id(0)
    column = tl.arange(0, block)
    inside = column < hidden
    number = tl.load(x + token * hidden + column, mask=inside, other=0).to(tl.float32)
    if parts is not None:
        added = tl.zeros((block,), tl.float32)
        for part in tl.static_range(top):
            added += tl.load(parts + (token * top + part) * hidden + column, mask=inside, other=0)
        # Rounded where the slow twin rounds.
        number = (number + added.to(x.dtype.element_ty).to(tl.float32)).to(x.dtype.element_ty)
        tl.store(x + token * hidden + column, number, mask=inside)
        number = number.to(tl.float32)
    number *= tl.rsqrt(tl.sum(number * number, axis=0) / hidden + eps)
    number *= tl.load(norm + column, mask=inside, other=0).to(tl.float32)
    tl.store(out + token * hidden + column, number, mask=inside)


@triton.jit
def _route(
    x,
    norm,
    router,
    bias,
    out,
    chosen,
    shares,
    eps,
    hidden: tl.constexpr,
    count: tl.constexpr,
    top: tl.constexpr,
    block: tl.constexpr,
    step: tl.constexpr,
    experts: tl.constexpr,
    slots: tl.constexpr,
):
    token = tl.program_id(0)
    column = tl.arange(0, block)
    inside = column < hidden
    number = tl.load(x + token * hidden + column, mask=inside, other=0).to(tl.float32)
    factor = tl.rsqrt(tl.sum(number * number, axis=0) / hidden + eps)
    number *= factor * tl.load(norm + column, mask=inside, other=0).to(tl.float32)
    at = out + token * hidden + place(column, hidden)
    tl.store(at, raised(number, out.dtype.element_ty), mask=inside)

    expert = tl.arange(0, experts)
    real = expert < count
    sums = tl.zeros((experts, step), tl.float32)
    for start in tl.range(0, hidden, step):
        part = start + tl.arange(0, step)
        there = part < hidden
        piece = tl.load(x + token * hidden + part, mask=there, other=0).to(tl.float32)
        piece *= factor * tl.load(norm + part, mask=there, other=0).to(tl.float32)
        tile = tl.load(
            router + expert[:, None] * hidden + part[None, :],
            mask=real[:, None] & there[None, :],
            other=0,
        )
        sums += tile.to(tl.float32) * piece.to(out.dtype.element_ty).to(tl.float32)[None, :]
    scores = tl.sum(sums, axis=1) + tl.load(bias + expert, mask=real, other=0).to(tl.float32)
    # Rounded before they are ranked: whether two experts tie is decided by what the model was trained with.
    scores = tl.where(real, scores.to(out.dtype.element_ty).to(tl.float32), -float("inf"))
    slot = tl.arange(0, slots)
    best = tl.full((slots,), -float("inf"), tl.float32)
    for i in tl.static_range(top):
        score, index = tl.max(scores, axis=0, return_indices=True, return_indices_tie_break_left=True)
        best = tl.where(slot == i, score, best)
        tl.store(chosen + token * top + i, index)
        scores = tl.where(expert == index, -float("inf"), scores)
    share = tl.exp(best - tl.max(best, axis=0))
    tl.store(shares + token * top + slot, share / tl.sum(share, axis=0), mask=slot < top)
