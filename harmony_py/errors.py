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


class RenderError(HarmonyError):
    """A message that cannot be written down: which one, which of its fields, and why."""

    def __init__(self, reason: str, message_index: int | None, field: str) -> None:
        super().__init__(reason, message_index, field)
        self.reason = reason
        self.message_index = message_index
        """Its place in the conversation; None for a message on its own."""
        self.field = field

    def __str__(self) -> str:
        where = "message" if self.message_index is None else f"message {self.message_index}"
        return f"{where}, {self.field}: {self.reason}"


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


class ArgumentsError(HarmonyError):
    """A tool call's content is no JSON object: what is wrong with it, and where."""

    def __init__(self, problem: str, text: str, position: int) -> None:
        super().__init__(problem, text, position)
        self.problem = problem
        self.text = text
        """The content, whole."""
        self.position = position
        """The character in it where reading stopped."""

    def __str__(self) -> str:
        around = self.text[max(0, self.position - 20) : self.position + 20]
        return f"{self.problem} (at character {self.position}, near {around!r})"


class EngineError(HarmonyError):
    """An engine that failed, or that cannot do what it is asked: which one, why, what it had drawn before."""

    def __init__(self, engine: str, reason: str, tokens: tuple[int, ...] = (), text: str = "") -> None:
        super().__init__(engine, reason, tokens, text)
        self.engine = engine
        """The engine's name; of a server also its address."""
        self.reason = reason
        self.tokens = tokens
        """What it had drawn before it failed."""
        self.text = text
        """The same as text, from engines that give text."""

    def __str__(self) -> str:
        kept = f" ({len(self.tokens)} tokens had come before)" if self.tokens else ""
        return f"{self.engine}: {self.reason}{kept}"
