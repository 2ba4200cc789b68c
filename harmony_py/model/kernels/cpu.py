"""The heavy operations on the processor, by the Rust core: `ops`' functions with the same signatures.

Weights are read where they lie, packed, in eight bits or in bf16, on as many threads as torch is set to.
Tokens in float32 are computed in float32. Those in bfloat16 are multiplied as they are and summed in float32;
`moe` keeps float32 up to its activation, so that it rounds twice where `ops.moe` rounds after every step.
Neither the number of threads nor the tokens beside one change a bit of its result.

Tokens of another type, or elsewhere than on the processor, are left to `ops`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from harmony_py import _rust
from harmony_py.errors import HarmonyError
from harmony_py.model import ops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

IMPLEMENTATIONS: Final = tuple(_rust.kernel_implementations())
"""What this processor can run, the best first; the first is used. The last is the others' slow twin."""


def supports(*tensors: Tensor) -> bool:
    """Whether the core can take numbers of these types from where they are."""
    return all(tensor.is_cpu and tensor.dtype in (torch.float32, torch.bfloat16) for tensor in tensors)


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, implementation: str | None = None
) -> Tensor:
    """See `ops.linear`."""
    if not supports(x, weight):
        return ops.linear(x, weight, bias)
    return _times(_rust.kernel_linear, x, (weight,), bias, implementation)


def mxfp4_linear(
    x: Tensor,
    blocks: Tensor,
    scales: Tensor,
    bias: Tensor | None = None,
    *,
    implementation: str | None = None,
) -> Tensor:
    """See `ops.mxfp4_linear`."""
    if not supports(x):
        return ops.mxfp4_linear(x, blocks, scales, bias)
    return _times(_rust.kernel_mxfp4_linear, x, (blocks, scales), bias, implementation)


def int8_linear(
    x: Tensor,
    numbers: Tensor,
    scales: Tensor,
    bias: Tensor | None = None,
    *,
    implementation: str | None = None,
) -> Tensor:
    """See `ops.int8_linear`."""
    if not supports(x):
        return ops.int8_linear(x, numbers, scales, bias)
    return _times(_rust.kernel_int8_linear, x, (numbers, scales), bias, implementation)


def moe(
    x: Tensor,
    experts: Tensor,
    shares: Tensor,
    gate_up_blocks: Tensor,
    gate_up_scales: Tensor,
    gate_up_bias: Tensor,
    down_blocks: Tensor,
    down_scales: Tensor,
    down_bias: Tensor,
    limit: float,
    *,
    implementation: str | None = None,
) -> Tensor:
    """See `ops.moe`. `IndexError` for an expert that there is not."""
    if not supports(x):
        gate_up, down = (gate_up_blocks, gate_up_scales), (down_blocks, down_scales)
        return ops.moe(x, experts, shares, *gate_up, gate_up_bias, *down, down_bias, limit)
    out = _result(x.shape, x, shares, gate_up_bias, down_bias)
    if out.numel():
        _rust.kernel_moe(
            _lend(x.contiguous()),
            _lend(experts.contiguous()),
            _lend(shares.contiguous()),
            _lend(gate_up_blocks),
            _lend(gate_up_scales),
            _lend(gate_up_bias),
            _lend(down_blocks),
            _lend(down_scales),
            _lend(down_bias),
            limit,
            _lend(out),
            threads=torch.get_num_threads(),
            implementation=implementation,
        )
    return out


def _times(
    kernel: Callable[..., None],
    x: Tensor,
    weights: tuple[Tensor, ...],
    bias: Tensor | None,
    implementation: str | None,
) -> Tensor:
    """`x` times the matrix that `weights` are."""
    out = _result((*x.shape[:1], *weights[0].shape[:1]), x, *weights, bias)
    if out.numel():
        kernel(
            _lend(x.contiguous()),
            *map(_lend, weights),
            bias if bias is None else _lend(bias),
            _lend(out),
            threads=torch.get_num_threads(),
            implementation=implementation,
        )
    return out


def _result(shape: Sequence[int], x: Tensor, *others: Tensor | None) -> Tensor:
    """Where the results for `x` go. The core keeps no record from which a gradient could be computed."""
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, *others)):
        raise HarmonyError("kernels 'rust' give no gradients: use 'torch', or torch.no_grad()")
    return x.new_empty(shape)


def _lend(tensor: Tensor) -> object:
    """A capsule for one call: its memory stays where it is."""
    # A function of torch's that its type hints leave out; the method would take ten times as long.
    capsule: object = torch.to_dlpack(tensor.detach())  # type: ignore[attr-defined]
    return capsule
