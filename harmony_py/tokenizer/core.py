"""`Tokenizer`: tiktoken's method names over the Rust core."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, TypeAlias

from harmony_py import _rust
from harmony_py.tokenizer.special import END_OF_TEXT, N_VOCAB, SPECIAL_TOKENS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet

Segment: TypeAlias = "str | int"
"""What `encode_segments` takes: text in which nothing is a control token, or one token's id."""


class Tokenizer:
    """The o200k_harmony tokenizer. Immutable, shared freely between threads."""

    name = "o200k_harmony"

    def __init__(self) -> None:
        self._core = _rust.Core(list(SPECIAL_TOKENS.items()))

    @classmethod
    @functools.cache
    def o200k_harmony(cls) -> Tokenizer:
        """The process's one tokenizer."""
        return cls()

    def encode_ordinary(self, text: str) -> list[int]:
        """Ids of `text`, in which nothing is a control token."""
        try:
            return self._core.encode_ordinary(text)
        except UnicodeEncodeError:
            return self._core.encode_ordinary(_without_lone_surrogates(text))

    def encode(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> list[int]:
        """Ids of `text`; spelled control tokens count as such where allowed, raise where disallowed."""
        if allowed_special == "all":
            allowed: set[str] | None = None
        else:
            allowed = set(allowed_special)
        if disallowed_special == "all":
            disallowed = set(SPECIAL_TOKENS) - (set(SPECIAL_TOKENS) if allowed is None else allowed)
        else:
            disallowed = set(disallowed_special)
        if found := self._core.find_special(text, disallowed):
            raise ValueError(f"Encountered text corresponding to disallowed special token {found!r}.\n")
        return self._core.encode(text, allowed)

    def encode_segments(self, segments: Sequence[Segment]) -> tuple[list[int], list[int]]:
        """Ids of text and control tokens in a row, and where in the ids each segment ends.

        One call for a whole conversation. Text segments are encoded apart from each other and can never
        become control tokens; an `int` is one token's id, taken as it is.
        """
        try:
            return self._core.encode_segments(segments)
        except UnicodeEncodeError:
            whole = [s if isinstance(s, int) else _without_lone_surrogates(s) for s in segments]
            return self._core.encode_segments(whole)

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        """Bytes of `tokens`; `KeyError` on an id that no token has."""
        return self._core.decode_bytes(tokens)

    def decode(self, tokens: Sequence[int], errors: str = "replace") -> str:
        """Text of `tokens`, decoded from UTF-8 with `errors`."""
        return self._core.decode_bytes(tokens).decode("utf-8", errors=errors)

    @property
    def special_tokens_set(self) -> set[str]:
        return set(SPECIAL_TOKENS)

    def is_special_token(self, token: int) -> bool:
        return token in SPECIAL_TOKENS.values()

    @property
    def eot_token(self) -> int:
        return END_OF_TEXT

    @property
    def n_vocab(self) -> int:
        return N_VOCAB


def _without_lone_surrogates(text: str) -> str:
    """Surrogate pairs joined, lone ones replaced by U+FFFD: what tiktoken does before it encodes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
