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


class WireError(HarmonyError):
    """JSON that an OpenAI API does not take: which field, what is wrong with it, in the API's own shape."""

    def __init__(
        self,
        message: str,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message, param, code, kind)
        self.message = message
        self.param = param
        """The path of the field, as in `messages[2].content`."""
        self.code = code
        self.kind = kind

    def __str__(self) -> str:
        return self.message

    def to_dict(self) -> dict[str, Any]:
        """The body of the API's own answer to such a request."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}


class ConstraintError(HarmonyError):
    """What may come next cannot be said, or something else came: where, and why."""

    def __init__(self, reason: str, where: str) -> None:
        super().__init__(reason, where)
        self.reason = reason
        self.where = where
        """The field of the specification, with the place in its schema; or which token of the turn."""

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


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


class ToolError(HarmonyError):
    """A tool cannot do what it was asked. The text is meant for the model: what is wrong, how to go on."""


class CheckpointError(HarmonyError):
    """A model's files or config that cannot be used: which, what was expected, what is there."""


class SamplingError(HarmonyError):
    """A token cannot be drawn as asked: which setting or input is wrong, and what was expected."""

    def __init__(self, field: str, found: object, expected: str) -> None:
        super().__init__(field, found, expected)
        self.field = field
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}; got {self.found!r}"


class PromptError(HarmonyError):
    """Ids that the model cannot go on from: which one, or how many there are for how much room."""

    def __init__(self, reason: str, token_index: int | None = None) -> None:
        super().__init__(reason, token_index)
        self.reason = reason
        self.token_index = token_index
        """Index of the id that is wrong; None where it is about all of them."""

    def __str__(self) -> str:
        where = "prompt" if self.token_index is None else f"prompt, token index {self.token_index}"
        return f"{where}: {self.reason}"


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


class PlacedError(HarmonyError):
    """Something is wrong in one place: where, and why."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class ShardError(PlacedError):
    """Training shards that cannot be made or read: which file, folder or field, and why."""
