"""Text and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.testing.invariants.violation import invariant, wrong
from harmony_py.testing.tokens import spelled
from harmony_py.tokenizer.special import START_OF_TEXT

if TYPE_CHECKING:
    from harmony_py.testing.implementation import Implementation


@invariant
def text_comes_back(implementation: Implementation, text: str) -> None:
    """Encoded and decoded, a text is what it was."""
    found = implementation.decode(list(implementation.encode(text)))
    if found != text:
        wrong("another text", f"{found!r} instead of {text!r}")


@invariant
def text_is_never_control(implementation: Implementation, text: str) -> None:
    """However a text is spelled, no id of it is a control token."""
    tokens = list(implementation.encode(text))
    controls = [token for token in tokens if token >= START_OF_TEXT]
    if controls:
        wrong("a control token", f"{spelled(controls)} among the tokens of a text")
