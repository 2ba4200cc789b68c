"""The heavy operations on a GPU, in Triton: `ops`' functions with the same signatures.

A few tokens are multiplied one by one with weights read as they lie. Of many, those for experts are sorted by
expert, and dense matrices are left to torch. Sums are float32 and rounded once, and `moe` keeps float32 up
to its activation. Numbers are float32 or bfloat16; others are left to `ops`.

Never run on a device yet: the tests run it in Triton's interpreter and compile it for a GPU that is not
there. `ops.kernels("auto")` takes it after `check` has compared it with torch on the device at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harmony_py.errors import HarmonyError
from harmony_py.model import ops
from harmony_py.model.kernels.triton import dense, experts, grouped
from harmony_py.model.kernels.triton.packed import planes

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor


def supports(*tensors: Tensor) -> bool:
    """Whether the kernels take numbers of these types, laid out like this."""
    return all(
        tensor.dtype in (torch.float32, torch.bfloat16) and tensor.is_contiguous() for tensor in tensors
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """See `ops.linear`."""
    if not 0 < len(x) <= dense.MOST or not supports(x, weight):
        return ops.linear(x, weight, bias)
    out = _result((len(x), len(weight)), x, weight, bias)
    with on_device_of(x):
        dense.linear(x, weight, bias, None, out)
    return out


def mxfp4_linear(x: Tensor, blocks: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """See `ops.mxfp4_linear`."""
    if not len(x) or not supports(x):
        return ops.mxfp4_linear(x, blocks, scales, bias)
    out = _result((len(x), len(scales)), x, bias)
    with on_device_of(x):
        if len(x) <= experts.MOST:
            experts.outer(planes(x), None, None, blocks, scales, bias, out)
        else:
            only = torch.zeros(len(x), 1, dtype=torch.int64, device=x.device)
            grouped.outer(x, grouped.tiles(only, 1), None, blocks, scales, bias, out)
    return out


def moe(
    x: Tensor,
    chosen: Tensor,
    shares: Tensor,
    gate_up_blocks: Tensor,
    gate_up_scales: Tensor,
    gate_up_bias: Tensor,
    down_blocks: Tensor,
    down_scales: Tensor,
    down_bias: Tensor,
    limit: float,
) -> Tensor:
    """See `ops.moe`. An expert that there is not makes its token NaN: to raise would be to wait."""
    gate_up, down = (gate_up_blocks, gate_up_scales, gate_up_bias), (down_blocks, down_scales, down_bias)
    if not len(x) or not supports(x):
        return ops.moe(x, chosen, shares, *gate_up, *down, limit)
    top, pairs = chosen.shape[1], chosen.numel()
    chosen, shares = chosen.contiguous(), shares.float().contiguous()
    middle = x.new_empty(pairs, down_scales.shape[-1] * 32)
    # What no tile writes belongs to no expert.
    out = x.new_full((pairs, x.shape[1]), torch.nan, dtype=torch.float32)
    _result((0,), x, shares, gate_up_bias, down_bias)
    with on_device_of(x):
        if len(x) <= experts.MOST:
            experts.inner(planes(x), chosen, *gate_up, limit, middle)
            experts.outer(middle, chosen, shares, *down, out)
        else:
            tiles = grouped.tiles(chosen, len(down_scales))
            grouped.inner(x, top, tiles, *gate_up, limit, middle)
            grouped.outer(middle, tiles, shares, *down, out)
    return out.view(len(x), top, -1).sum(1).to(x.dtype)


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the current device, whatever device the tensors are on."""
    return torch.cuda.device_of(x)  # type: ignore[no-untyped-call]


def _result(shape: tuple[int, ...], x: Tensor, *others: Tensor | None) -> Tensor:
    """Where the results for `x` go. Nothing is recorded from which a gradient could be computed."""
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, *others)):
        raise HarmonyError("kernels 'triton' give no gradients: use 'torch', or torch.no_grad()")
    return x.new_empty(shape)
