"""What a generation did and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harmony_py.model.forward import Decoder


@dataclass
class Statistics:
    """Grows while it goes on. Times are the model's and the draws', not those of who reads along."""

    decoder: Decoder
    prompt_tokens: int
    reused_tokens: int = 0
    """How many of the prompt's tokens the cache held already."""
    prefill_seconds: float = 0.0
    """From the prompt's first token to the first one that was drawn."""
    new_tokens: int = 0
    """How many were drawn, the one that ended it included."""
    decode_seconds: float = 0.0
    """What those after the first took. In a batch a step's time counts for each of its rows."""
    steps: int = 0
    """How many times the model was run for those after the first."""
    guessed_tokens: int = 0
    accepted_tokens: int = 0
    """So many of the guessed ones were drawn, too."""

    def count(self, seconds: float) -> None:
        """One more token was drawn, in so many seconds."""
        self.new_tokens += 1
        if self.new_tokens == 1:
            self.prefill_seconds += seconds
        else:
            self.decode_seconds += seconds

    @property
    def prefill_rate(self) -> float | None:
        """Tokens of the prompt a second, those not counted that were reused; None before there is one."""
        return _rate(self.prompt_tokens - self.reused_tokens, self.prefill_seconds)

    @property
    def decode_rate(self) -> float | None:
        """Tokens a second after the first one."""
        return _rate(self.new_tokens - 1, self.decode_seconds)

    @property
    def bytes_per_token(self) -> int:
        """What the token in the middle of the answer reads, if it is run alone: weights and cache."""
        return self.decoder.bytes_per_token(self.prompt_tokens + self.new_tokens // 2)

    def share_of_floor(self, bandwidth: float) -> float | None:
        """How near decoding comes to what reading alone would take, at `bandwidth` bytes a second.

        1 is as fast as one token at a time can be; guesses that come true may go beyond.
        """
        rate = self.decode_rate
        return None if rate is None else rate * self.bytes_per_token / bandwidth


def _rate(count: int, seconds: float) -> float | None:
    return count / seconds if count > 0 and seconds > 0 else None
