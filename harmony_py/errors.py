"""What can go wrong, each kind with the place where it did."""

from __future__ import annotations

from typing import Any


class HarmonyError(RuntimeError, ValueError):
    """Base of every error that this package raises on its own account.

    Both a `RuntimeError` and a `ValueError`, so that code written for `openai-harmony` (which raises the
    first) and for tiktoken (the second) catches it.
    """


class VocabularyError(HarmonyError):
    """The embedded vocabulary cannot be used or written as asked."""


class ParseError(HarmonyError):
    """Tokens that do not follow the format: which one, where the parser stood, what could have come."""

    def __init__(
        self,
        reason: str,
        token_index: int,
        token: int | None,
        state: str,
        expected: tuple[str, ...],
        messages: tuple[Any, ...],
    ) -> None:
        super().__init__(reason, token_index, token, state, expected, messages)
        self.reason = reason
        self.token_index = token_index
        """Index of the token in the stream; its length where the stream ended too soon."""
        self.token = token
        """The token itself; None where the stream ended too soon."""
        self.state = state
        self.expected = expected
        """What the grammar allows there."""
        self.messages = messages
        """The messages that were complete before."""

    def __str__(self) -> str:
        what = "end of stream" if self.token is None else f"token {self.token}"
        return (
            f"{self.reason} (at token index {self.token_index}, {what}; state: {self.state}; "
            f"expected: {' or '.join(self.expected)})"
        )
