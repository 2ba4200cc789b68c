"""Engines: whatever turns a prompt's ids into sampled ids. One small file for each host.

What an engine must do is `Engine`, and no more than that: ids in, ids out. Messages are the business of
`harmony_py.engines.chat`, which holds a conversation with any engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from harmony_py.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FinishReason = Literal["stop", "length", "context"]
"""Why an engine ended: it drew a stop token, as many tokens as it was allowed, or the context is full."""


class Step(Protocol):
    """One sampled token, as any engine reports it. It may say more."""

    @property
    def token(self) -> int: ...

    @property
    def finish(self) -> str | None:
        """A `FinishReason` with the last token, None before."""
        ...


class Drawn(NamedTuple):
    """A `Step` that says no more, for engines that know no more."""

    token: int
    finish: str | None = None


class Mask(Protocol):
    """What may come next, as somebody else knows it. Asked before each token, told each token."""

    def allowed(self) -> object:
        """Packed bits, ids or None, as `harmony_py.model.mask.Allowed` has it."""
        ...

    def advance(self, token: int) -> object: ...


class Engine(Protocol):
    """Draws tokens behind a prompt.

    It stops behind a token that ends the assistant's turn, which it reports like any other:
    `harmony_py.tokenizer.special.ASSISTANT_ACTION_STOP_TOKENS`. Closing the iterator early leaves the engine
    ready for the next prompt. An engine may keep what it has read: most prompts begin with the one before.
    """

    def generate(
        self, ids: Sequence[int], sampling: Any = None, *, mask: Mask | None = None
    ) -> Iterator[Step]:
        """The tokens behind `ids`, as they are drawn. `sampling` is the engine's own; None is its default."""
        ...


def require_step(engine: Engine, found: object) -> None:
    """Refuse what is no step, such as a bare id."""
    if not hasattr(found, "token"):
        raise EngineError(
            type(engine).__name__,
            f"generate: expected steps with a token, such as `harmony_py.engines.Drawn`, found {found!r}",
        )
