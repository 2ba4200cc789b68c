"""What may come next, as somebody else knows it: the seam for constrained decoding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, TypeAlias

import torch

from harmony_py.errors import SamplingError
from harmony_py.model import ids

if TYPE_CHECKING:
    from torch import Tensor

Allowed: TypeAlias = object
"""None for everything; a boolean for each token; bits packed into bytes or 32-bit words, the lowest first; or
the ids themselves. The first two kinds of array may be tensors or anything with the buffer protocol."""

PADDING = 64
"""So many elements more than needed are padding; more than that are a misunderstanding."""


class Mask(Protocol):
    """Asked before each token, told each token."""

    def allowed(self) -> Allowed: ...

    def advance(self, token: int) -> object:
        """The token was drawn. What it returns is not looked at; an exception ends the generation."""
        ...


def permitted(allowed: Allowed, vocab: int, device: torch.device) -> Tensor | None:
    """`allowed` as a boolean tensor [vocab]. Bits beyond the vocabulary are padding."""
    if allowed is None:
        return None
    array = as_tensor(allowed)
    if array is None or array.dtype is torch.int64:
        return _chosen(allowed, vocab, device)
    if array.dtype is torch.bool:
        return _fitting(array, vocab, 1, 0).to(device)
    return unpacked(_fitting(array, vocab, array.element_size() * 8, PADDING).to(device), vocab)


def as_tensor(allowed: Allowed) -> Tensor | None:
    """`allowed` as a tensor where it is one or has the buffer protocol."""
    if isinstance(allowed, torch.Tensor):
        return allowed
    try:
        view = memoryview(allowed)  # type: ignore[arg-type]
    except TypeError:
        return None
    dtype = torch.bool if view.format == "?" else _DTYPES.get(view.itemsize, torch.uint8)
    # A copy: what lies behind a buffer may be read-only, which tensors do not know.
    return (
        torch.tensor([], dtype=dtype) if not view.nbytes else torch.frombuffer(bytearray(view), dtype=dtype)
    )


_DTYPES = {4: torch.int32, 8: torch.int64}
"""By the size of an element. What is neither words nor ids are packed bits, however many at a time."""


def _fitting(mask: Tensor, vocab: int, bits: int, padding: int) -> Tensor:
    """`mask` flat, cut to what the vocabulary needs."""
    needed = -(-vocab // bits)
    mask = mask.flatten()
    if not needed <= len(mask) <= needed + padding:
        raise SamplingError("mask", f"{len(mask)} of {bits} bits", f"{needed} elements for {vocab} tokens")
    return mask[:needed]


def unpacked(words: Tensor, vocab: int) -> Tensor:
    """A boolean for each of the first `vocab` bits of `words`, the lowest first."""
    octets = words.contiguous().view(torch.uint8)
    bits = torch.tensor([1 << bit for bit in range(8)], dtype=torch.uint8, device=words.device)
    return octets[:, None].bitwise_and(bits).ne(0).flatten()[:vocab]


def _chosen(given: object, vocab: int, device: torch.device) -> Tensor:
    if not isinstance(given, Iterable):
        raise SamplingError("mask", given, "None, a boolean for each token, packed bits or ids")

    def wrong(_: int, value: object) -> SamplingError:
        return SamplingError("mask", value, f"ids from 0 to {vocab - 1}")

    chosen = ids.checked(given, vocab, wrong)
    mask = torch.zeros(vocab, dtype=torch.bool, device=device)
    mask[torch.tensor(chosen, dtype=torch.int64, device=device)] = True
    return mask
