"""An engine that says what it was told to, for tests of what is built on engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmony_py.engines import Drawn, Mask
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.tokenizer.special import ASSISTANT_ACTION_STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class ScriptedEngine:
    """Draws the given completions one after the other, control tokens spelled out, and keeps the prompts."""

    def __init__(self, *completions: str | list[int]) -> None:
        encode = load_harmony_encoding().encode
        self.completions = [
            encode(c, allowed_special="all") if isinstance(c, str) else c for c in completions
        ]
        self.prompts: list[list[int]] = []
        self.masks: list[Mask | None] = []
        self.closed = 0
        """Generations that are over, be it that they were closed early."""

    def generate(
        self, ids: Sequence[int], sampling: Any = None, *, mask: Mask | None = None
    ) -> Iterator[Drawn]:
        self.prompts.append(list(ids))
        self.masks.append(mask)
        completion = self.completions[len(self.prompts) - 1]
        try:
            for place, token in enumerate(completion, 1):
                last = place == len(completion)
                reason = "stop" if token in ASSISTANT_ACTION_STOP_TOKENS else "length"
                yield Drawn(token, reason if last else None)
                if token in ASSISTANT_ACTION_STOP_TOKENS:
                    return
        finally:
            self.closed += 1
