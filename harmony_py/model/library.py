"""The operations as `torch.ops.harmony_py.*`: one name, and the implementation that the device has.

This is what `torch.compile` and exporters see: an operation of known shape that they do not look into. Called
without them it costs more than the function behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.library import custom_op

from harmony_py.model import ops

if TYPE_CHECKING:
    from torch import Tensor


@custom_op(
    "harmony_py::linear", mutates_args=(), schema="(Tensor x, Tensor weight, Tensor? bias=None) -> Tensor"
)
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """See `ops.linear`."""
    return ops.kernels("auto", x.device).linear(x, weight, bias)


@linear.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


@custom_op(
    "harmony_py::mxfp4_linear",
    mutates_args=(),
    schema="(Tensor x, Tensor blocks, Tensor scales, Tensor? bias=None) -> Tensor",
)
def mxfp4_linear(x: Tensor, blocks: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """See `ops.mxfp4_linear`."""
    return ops.kernels("auto", x.device).mxfp4_linear(x, blocks, scales, bias)


@mxfp4_linear.register_fake
def _(x: Tensor, blocks: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    return x.new_empty(x.shape[0], blocks.shape[0])


@custom_op(
    "harmony_py::int8_linear",
    mutates_args=(),
    schema="(Tensor x, Tensor numbers, Tensor scales, Tensor? bias=None) -> Tensor",
)
def int8_linear(x: Tensor, numbers: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """See `ops.int8_linear`."""
    return ops.kernels("auto", x.device).int8_linear(x, numbers, scales, bias)


@int8_linear.register_fake
def _(x: Tensor, numbers: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    return x.new_empty(x.shape[0], numbers.shape[0])


@custom_op(
    "harmony_py::moe",
    mutates_args=(),
    schema=(
        "(Tensor x, Tensor experts, Tensor shares, "
        "Tensor gate_up_blocks, Tensor gate_up_scales, Tensor gate_up_bias, "
        "Tensor down_blocks, Tensor down_scales, Tensor down_bias, float limit) -> Tensor"
    ),
)
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
) -> Tensor:
    """See `ops.moe`."""
    gate_up = gate_up_blocks, gate_up_scales, gate_up_bias
    down = down_blocks, down_scales, down_bias
    return ops.kernels("auto", x.device).moe(x, experts, shares, *gate_up, *down, limit)


@moe.register_fake
def _(x: Tensor, *_: object) -> Tensor:
    return x.new_empty(x.shape)
