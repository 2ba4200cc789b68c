"""Keys and values of the tokens that were run, so that none is run twice.

A full layer keeps all of them and doubles its slots as they fill. A sliding layer keeps its window and some
slack behind it: when its slots are full, what is still needed moves to the front of new ones. No position
wraps around, so the keys that a token sees lie in one piece and in order, and are summed as in a cold cache.

A conversation that continues seldom continues where the cache ends: harmony leaves old thoughts out of the
next prompt. Full layers are cut at any length; sliding ones only as far back as their slack. Snapshots of the
sliding layers, taken where messages end, are what they go back to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from harmony_py.errors import PromptError
from harmony_py.tokenizer import prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from harmony_py.model.config import ModelConfig

SLACK: Final = 64
"""How many tokens can always be taken back without a snapshot: guesses that were wrong, at least."""

SNAPSHOTS: Final = 16
"""How many are kept. In the 20b one takes 3.1 MB, whatever its length."""

FIRST_SLOTS: Final = 64


class Band(NamedTuple):
    """What one layer holds: slot `i` is for position `first + i`."""

    numbers: Tensor
    """[2, kv_heads, slots, head_dim]: keys, then values. Slots beyond the cache's length hold nothing."""
    first: int


class _Held(NamedTuple):
    """What must change at once: an interrupt can come between any two statements."""

    length: int
    bands: list[Band]


class Cache:
    """The cache of one conversation: tokens, and each layer's keys and values of them.

    A step writes every layer and then commits. Whatever stops it before that leaves the cache as it was.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        max_context: int | None = None,
        dtype: torch.dtype = torch.bfloat16,
        device: str | torch.device = "cpu",
    ) -> None:
        self.config = config
        self.dtype = dtype
        self.max_context = config.max_context if max_context is None else max_context
        self._windows = [config.window(layer) for layer in range(config.layers)]
        nothing = torch.empty(2, config.kv_heads, 0, config.head_dim, dtype=dtype, device=device)
        self._held = _Held(0, [Band(nothing, 0)] * config.layers)
        self._tokens: list[int] = []
        self._snapshots: dict[int, dict[int, Band]] = {}

    @property
    def length(self) -> int:
        """How many tokens are in it."""
        return self._held.length

    @property
    def tokens(self) -> list[int]:
        """The tokens that are in it."""
        return self._tokens[: self.length]

    @property
    def snapshots(self) -> list[int]:
        """The lengths that it can go back to, besides the nearest ones."""
        return sorted(self._snapshots)

    @property
    def nbytes(self) -> int:
        """What it takes in memory, snapshots and spare slots included."""
        bands = [*self._held.bands, *(band for saved in self._snapshots.values() for band in saved.values())]
        return sum({band.numbers.data_ptr(): band.numbers.nbytes for band in bands}.values())

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put a layer's keys and values [kv_heads, n, head_dim] behind the last token's; give what they see.

        Both come back as [kv_heads, past + n, head_dim]: of a sliding layer the last window - 1 positions are
        past, of a full one all are. Nothing counts before `commit`.
        """
        length, count, window = self.length, keys.shape[1], self._windows[layer]
        band = self._with_room(layer, count)
        start = length - band.first
        band.numbers[0, :, start : start + count] = keys
        band.numbers[1, :, start : start + count] = values
        seen = band.numbers[:, :, start - _past(length, window) : start + count]
        return seen[0], seen[1]

    def reserve(self, count: int) -> list[Band]:
        """Every layer's band, with room for `count` tokens behind the last, for who writes there himself."""
        return [self._with_room(layer, count) for layer in range(len(self._windows))]

    def commit(self, tokens: Sequence[int]) -> None:
        """Count the tokens whose keys and values every layer was given."""
        length, bands = self._held
        self._tokens[length:] = tokens
        self._held = _Held(length + len(tokens), bands)

    def truncate(self, length: int) -> int:
        """Forget what comes after the first `length` tokens; run them again from the returned length on.

        That is `length` itself if every sliding layer still has the window before it, else the nearest
        snapshot's before it, or 0.
        """
        if not 0 <= length <= self.length:
            raise PromptError(f"a cache of {self.length} tokens cannot be cut to {length}")
        bands = self._held.bands
        reached = length
        if not self._reaches(length):
            reached = max((at for at in self._snapshots if at <= length), default=0)
            bands = bands.copy()
            for layer, band in self._snapshots.get(reached, {}).items():
                bands[layer] = band
            if reached == 0:
                bands = [Band(band.numbers, 0) for band in bands]
        self._snapshots = {at: saved for at, saved in self._snapshots.items() if at <= reached}
        self._held = _Held(reached, bands)
        return reached

    def fork(self, length: int) -> Cache:
        """Another cache with the first `length` tokens of this one, or as many as `truncate` would leave.

        Both go their own ways. Only what the other one holds is copied.
        """
        other = Cache(
            self.config,
            max_context=self.max_context,
            dtype=self.dtype,
            device=self._held.bands[0].numbers.device,
        )
        other._tokens = self.tokens
        other._held = _Held(self.length, self._held.bands.copy())
        # Snapshots are never written to, so that both may have them.
        other._snapshots = dict(self._snapshots)
        held = other.truncate(length)
        own = [
            Band(band.numbers[:, :, : held - band.first].clone(), band.first) for band in other._held.bands
        ]
        other._held = _Held(held, own)
        return other

    def reuse(self, tokens: Sequence[int]) -> int:
        """Cut it to what it shares with `tokens`, the last one excluded, and give the length that is left.

        The last token is run in any case: somebody wants its logits.
        """
        return self.truncate(prefix.shared(self.tokens, list(tokens[:-1])))

    def snapshot(self, length: int | None = None) -> bool:
        """Remember the sliding layers as they were at `length`, by default now, to go back to it later.

        False if their windows have moved on. Beyond `SNAPSHOTS` the one nearest behind another goes.
        """
        length = self.length if length is None else length
        if not 0 < length <= self.length or not self._reaches(length):
            return False
        saved = {}
        for layer, (window, band) in enumerate(zip(self._windows, self._held.bands, strict=True)):
            if window is not None:
                first = length - _past(length, window)
                numbers = band.numbers[:, :, first - band.first : length - band.first].clone()
                saved[layer] = Band(numbers, first)
        kept = {**self._snapshots, length: saved}
        if len(kept) > SNAPSHOTS:
            lengths = sorted(kept)
            gaps = {at: at - before for before, at in zip([0, *lengths], lengths, strict=False)}
            del kept[min(gaps, key=gaps.__getitem__)]
        self._snapshots = kept
        return True

    def _reaches(self, length: int) -> bool:
        """Whether every layer holds what the token at `length` sees."""
        bands = zip(self._windows, self._held.bands, strict=True)
        return all(band.first <= length - _past(length, window) for window, band in bands)

    def _with_room(self, layer: int, count: int) -> Band:
        """The layer's band with `count` slots behind the last token; what it needs not is left behind."""
        length, bands = self._held
        band, window = bands[layer], self._windows[layer]
        used = length - band.first
        slots = band.numbers.shape[2]
        if used + count <= slots:
            return band
        if window is None:
            kept, slots = used, min(max(2 * slots, used + count, FIRST_SLOTS), self.max_context)
        else:
            kept = min(used, window - 1 + SLACK)
            slots = kept + max(count, window)
        numbers = band.numbers.new_empty(*band.numbers.shape[:2], slots, band.numbers.shape[3])
        numbers[:, :, :kept] = band.numbers[:, :, used - kept : used]
        # The new band is good for the old length, too, should this step never be committed.
        bands[layer] = Band(numbers, length - kept)
        return bands[layer]


def _past(length: int, window: int | None) -> int:
    """How many positions before `length` the token there sees."""
    return length if window is None else min(length, window - 1)
