"""The four heavy operations of the model in plain torch, what every kernel is compared with; and the choice.

Numbers are computed in the type of `x`; weights are unpacked or cast to it as they are used. An
implementation is a module with functions of these names and signatures.
"""

from __future__ import annotations

import functools
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import torch
from torch.nn import functional

from harmony_py.errors import HarmonyError
from harmony_py.model import int8
from harmony_py.model.config import SWIGLU_ALPHA
from harmony_py.model.mxfp4 import unpack
from harmony_py.model.weights import Experts, Int8, Mxfp4

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` [m, k] times `weight` [n, k], plus `bias` [n]."""
    return functional.linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))


def mxfp4_linear(x: Tensor, blocks: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` [m, k] times a matrix in MXFP4 [n, k], plus `bias` [n]."""
    return linear(x, unpack(Mxfp4(blocks, scales), x.dtype), bias)


def int8_linear(x: Tensor, numbers: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` [m, k] times a matrix in eight bits [n, k], plus `bias` [n].

    In float32 at least, which has its numbers exactly, and rounded once to the type of `x`.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    return linear(x.to(wide), int8.unpack(Int8(numbers, scales)), bias).to(x.dtype)


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
    """What each token's `experts` [m, top] (int64) make of `x` [m, hidden], summed by their `shares`.

    An expert is `swiglu` between two matrices [2 * intermediate, hidden] and [hidden, intermediate]; `shares`
    are float32 [m, top]. The sum is float32 before it is rounded to the type of `x`.
    """
    gate_up, down = Mxfp4(gate_up_blocks, gate_up_scales), Mxfp4(down_blocks, down_scales)
    return dense_moe(x, experts, shares, gate_up, gate_up_bias, down, down_bias, limit)


def dense_moe(
    x: Tensor,
    experts: Tensor,
    shares: Tensor,
    gate_up: Mxfp4 | Tensor,
    gate_up_bias: Tensor,
    down: Mxfp4 | Tensor,
    down_bias: Tensor,
    limit: float,
) -> Tensor:
    """The same for experts in either form: each expert at a time is unpacked and given its tokens."""
    total = torch.zeros_like(x, dtype=torch.float32)
    for expert in sorted(set(experts.flatten().tolist())):
        if not 0 <= expert < len(down_bias):
            raise IndexError(f"expert {expert}: expected 0 to {len(down_bias) - 1}")
        tokens, places = (experts == expert).nonzero(as_tuple=True)
        inner = swiglu(linear(x[tokens], _matrix(gate_up, expert, x.dtype), gate_up_bias[expert]), limit)
        outer = linear(inner, _matrix(down, expert, x.dtype), down_bias[expert])
        total.index_add_(0, tokens, outer.float() * shares[tokens, places, None].float())
    return total.to(x.dtype)


def swiglu(numbers: Tensor, limit: float) -> Tensor:
    """The experts' activation of [..., 2n] numbers, gate and up in turn: [..., n]."""
    gate, up = numbers[..., 0::2].clamp(max=limit), numbers[..., 1::2].clamp(min=-limit, max=limit)
    return gate * torch.sigmoid(SWIGLU_ALPHA * gate) * (up + 1)


def _matrix(matrix: Mxfp4 | Tensor, expert: int, dtype: torch.dtype) -> Tensor:
    if isinstance(matrix, Mxfp4):
        return unpack(Mxfp4(matrix.blocks[expert], matrix.scales[expert]), dtype)
    return matrix[expert]


class Moe(Protocol):
    """`moe`'s signature."""

    def __call__(
        self,
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
        /,
    ) -> Tensor: ...


class Kernels(NamedTuple):
    """One implementation of the operations. A forward pass is given one; nothing global is switched."""

    name: str
    linear: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    mxfp4_linear: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
    moe: Moe
    int8_linear: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor] = int8_linear

    def dense(self, x: Tensor, matrix: Tensor | Int8, bias: Tensor | None = None) -> Tensor:
        """`linear` of a matrix in either form."""
        if isinstance(matrix, Int8):
            return self.int8_linear(x, *matrix, bias)
        return self.linear(x, matrix, bias)

    def mixture(self, x: Tensor, chosen: Tensor, shares: Tensor, experts: Experts, limit: float) -> Tensor:
        """`moe` of a layer's experts, whichever form they are in. Dense ones have no kernel but torch's."""
        up, up_bias, down, down_bias = experts[3:]
        if isinstance(up, Mxfp4) and isinstance(down, Mxfp4):
            return self.moe(x, chosen, shares, *up, up_bias, *down, down_bias, limit)
        return dense_moe(x, chosen, shares, up, up_bias, down, down_bias, limit)


TORCH: Final = Kernels("torch", linear, mxfp4_linear, moe)

_IMPLEMENTATIONS: Final[dict[str, tuple[str, str | None]]] = {
    "torch": ("ops", None),
    "library": ("library", None),
    "rust": ("kernels.cpu", "cpu"),
    "triton": ("kernels.triton", "cuda"),
}
"""The module of each, and the type of device that it is for if not for any."""


@functools.cache
def kernels(name: str = "auto", device: str | torch.device = "cpu") -> Kernels:
    """The operations by the name of who implements them.

    `"auto"` is the one made for this type of device, `"torch"` the oracle, which runs on any. `"library"`
    is `"auto"` behind `torch.library`, for `torch.compile`. Where `"auto"` would be `"triton"`, it is only if
    that computes what the oracle does on this very device; if not it warns and is `"torch"`.
    """
    kind = torch.device(device).type
    if name == "auto":
        name = _made_for(device)
    if name not in _IMPLEMENTATIONS:
        known = ", ".join(["auto", *_IMPLEMENTATIONS])
        raise HarmonyError(f"kernels: expected one of {known}, found {name!r}")
    module_name, home = _IMPLEMENTATIONS[name]
    if home not in (None, kind):
        raise HarmonyError(f"kernels {name!r}: expected a device of type {home}, found {kind}")
    module = import_module(f"harmony_py.model.{module_name}")
    # Triton has none: what torch computes is right on any device.
    of_int8 = getattr(module, "int8_linear", int8_linear)
    return Kernels(name, module.linear, module.mxfp4_linear, module.moe, of_int8)


def _made_for(device: str | torch.device) -> str:
    homes = {home: name for name, (_, home) in _IMPLEMENTATIONS.items() if home}
    name = homes.get(torch.device(device).type, "torch")
    if name != "triton":
        return name
    fault = import_module("harmony_py.model.kernels.check").fault(device)
    if fault is None:
        return name
    warnings.warn(f"kernels 'triton' are not used on {device}: {fault}; torch's are", stacklevel=3)
    return "torch"
