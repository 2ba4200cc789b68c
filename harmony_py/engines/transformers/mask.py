"""`MaskProcessor`: keeps what transformers draws to a mask, such as `harmony_py.constrain.Mask`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from transformers import LogitsProcessor

from harmony_py.errors import EngineError
from harmony_py.model.mask import as_tensor, unpacked
from harmony_py.tokenizer.special import SAMPLING_STOP_TOKENS

if TYPE_CHECKING:
    from torch import Tensor

    from harmony_py.engines import Mask

ENGINE = "transformers"
_OVER = SAMPLING_STOP_TOKENS


class MaskProcessor(LogitsProcessor):  # type: ignore[misc, unused-ignore]
    """Takes a mask for each row of the batch: whatever has `allowed()` and `advance(token)`.

    Only what is allowed can be drawn; a row whose turn is over is left alone. Good for one call of
    `generate`. Beam search and assisted decoding change rows that were drawn already, which a mask cannot
    follow: `EngineError` then, and where a mask allows nothing.
    """

    def __init__(self, *masks: Mask) -> None:
        self._masks = masks
        self._prompt: int | None = None
        self._taken: list[list[int]] = [[] for _ in masks]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if len(input_ids) != len(self._masks):
            raise EngineError(ENGINE, f"{len(self._masks)} masks for a batch of {len(input_ids)} rows")
        if self._prompt is None:
            self._prompt = input_ids.shape[1]
        drawn = input_ids[:, self._prompt :].tolist()
        rows = [self._row(row, drawn[row], scores[row]) for row in range(len(drawn))]
        return torch.stack(rows)

    def _row(self, row: int, drawn: list[int], scores: Tensor) -> Tensor:
        mask, taken = self._masks[row], self._taken[row]
        if drawn[: len(taken)] != taken:
            raise EngineError(ENGINE, f"row {row} of the batch is another one now; beams cannot have masks")
        for token in drawn[len(taken) :]:
            if taken and taken[-1] in _OVER:
                break  # What follows is padding.
            mask.advance(token)
            taken.append(token)
        if taken and taken[-1] in _OVER:
            return scores
        allowed = permitted(mask.allowed(), scores.shape[-1])
        if allowed is None:
            return scores
        if not allowed.any():
            raise EngineError(ENGINE, f"the mask of row {row} allows no token", tuple(taken))
        return scores.masked_fill(~allowed.to(scores.device), float("-inf"))


def permitted(allowed: object, width: int) -> Tensor | None:
    """`allowed` as a boolean for each of `width` ids; None where everything is.

    It may be None; booleans, or bits packed into bytes or 32-bit words, the lowest first, as a tensor or
    anything with the buffer protocol; or ids. Ids that it does not reach are not allowed.
    """
    if allowed is None:
        return None
    array = as_tensor(allowed)
    if array is None or array.dtype is torch.int64:
        chosen = torch.zeros(width, dtype=torch.bool)
        chosen[_ids(allowed, width)] = True
        return chosen
    flat = array.flatten().cpu()
    if flat.dtype is not torch.bool:
        flat = unpacked(flat, width)
    return torch.nn.functional.pad(flat[:width], (0, max(0, width - len(flat))))


def _ids(allowed: object, width: int) -> list[int]:
    if not isinstance(allowed, Iterable):
        raise EngineError(ENGINE, f"a mask allowed {type(allowed).__name__}, expected bits, booleans or ids")
    ids = [int(token) for token in allowed]
    for token in ids:
        if not 0 <= token < width:
            raise EngineError(ENGINE, f"a mask allowed id {token}, expected 0 to {width - 1}")
    return ids
