"""Masks as bits: one for each id of the vocabulary, in 32-bit words, the lowest bit first.

That is how llguidance, xgrammar and the engines around them pass masks on. The words are little-endian bytes
here; `as_numpy` and `as_torch` make arrays of them for those who have the libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harmony_py.tokenizer.special import N_VOCAB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

LENGTH: Final = (N_VOCAB + 31) // 32 * 4
"""Bytes of a mask."""


def has(mask: bytes, token: int) -> bool:
    """Whether `mask` allows `token`; ids that there are not are never allowed."""
    return 0 <= token < N_VOCAB and bool(mask[token >> 3] >> (token & 7) & 1)


def of(tokens: Iterable[int]) -> bytes:
    """The mask that allows exactly `tokens`."""
    mask = bytearray(LENGTH)
    for token in tokens:
        mask[token >> 3] |= 1 << (token & 7)
    return bytes(mask)


def both(mask: bytes, other: bytes) -> bytes:
    """What both masks allow."""
    common = int.from_bytes(mask, "little") & int.from_bytes(other, "little")
    return common.to_bytes(LENGTH, "little")


def count(mask: bytes, start: int = 0) -> int:
    """How many ids from `start` on are allowed."""
    return (int.from_bytes(mask, "little") >> start).bit_count()


def ids(mask: bytes, start: int = 0) -> Iterator[int]:
    """The ids from `start` on that are allowed, in order."""
    for at in range(start >> 3, len(mask)):
        if mask[at]:
            yield from (i for i in range(at * 8, at * 8 + 8) if i >= start and mask[at] >> (i & 7) & 1)


def as_numpy(mask: bytes) -> npt.NDArray[np.int32]:
    """The words as a read-only array over the same memory."""
    import numpy as np

    return np.frombuffer(mask, dtype="<i4")


def as_torch(mask: bytes) -> Tensor:
    """The words as a tensor of its own."""
    import torch

    return torch.frombuffer(bytearray(mask), dtype=torch.int32)


def restrict(logits: Tensor, mask: bytes) -> Tensor:
    """`logits`, the vocabulary last, with minus infinity for every id that `mask` does not allow.

    Rows of an output layer beyond the vocabulary, which padding makes, are never allowed.
    """
    import torch

    words = as_torch(mask)
    bits = (words.unsqueeze(-1) >> torch.arange(32, dtype=torch.int32)) & 1
    width = logits.shape[-1]
    allowed = torch.nn.functional.pad(bits.flatten().bool()[:width], (0, max(0, width - bits.numel())))
    return logits.masked_fill(~allowed.to(logits.device), float("-inf"))
