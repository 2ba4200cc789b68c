"""What a mask for the conversation's own tools would allow before each token of the assistant's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harmony_py.constrain import Mask, TurnSpec
from harmony_py.errors import ConstraintError
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.tokenizer.special import END, RETURN, START, STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.inspector.source import Opened

_BUILT_IN: Final = ("python", "browser")


def explained(opened: Opened) -> dict[str, Any]:
    """For each token, and for the end, what a mask would say before it.

    That is None outside the assistant's messages. `refused` are the tokens that it would not have let
    through; behind one it has nothing more to say of that message. `problem` says why there is no mask.
    """
    sentences: list[str | None] = [None] * (len(opened.tokens) + 1)
    refused: list[int] = []
    try:
        spec = _spec(opened)
        if spec is not None:
            for start, end in _messages(opened):
                _follow(spec, opened, start, end, sentences, refused)
    except (ConstraintError, ImportError) as problem:
        return {"sentences": sentences, "refused": [], "problem": str(problem)}
    return {"sentences": sentences, "refused": refused, "problem": None}


def _spec(opened: Opened) -> TurnSpec | None:
    """What the conversation lets the model do; None where there is no conversation."""
    if opened.offered is None:
        return None
    built_in = [space.name for space in opened.offered if space.name in _BUILT_IN]
    own = [space for space in opened.offered if space.name not in _BUILT_IN]
    return TurnSpec(tools=own, builtin_tools=tuple(name for name in _BUILT_IN if name in built_in))


def _messages(opened: Opened) -> Iterator[tuple[int, int]]:
    """Where the assistant's messages go on after their role, and where they end: behind their terminator."""
    tokens = opened.tokens
    begin = _begin()
    starts = [i for i in range(len(begin), len(tokens) + 1) if tokens[i - len(begin) : i] == begin]
    if opened.role is not None:
        starts.insert(0, 0)
    for start in starts:
        stops = (i for i in range(start, len(tokens)) if tokens[i] in STOP_TOKENS or tokens[i] == START)
        yield start, next(stops, len(tokens))


def _begin() -> list[int]:
    return [START, *load_harmony_encoding().encode("assistant")]


def _follow(
    spec: TurnSpec, opened: Opened, start: int, end: int, sentences: list[str | None], refused: list[int]
) -> None:
    """Take the message's tokens one by one, and note what may come before each of them."""
    before = [] if opened.role is None else _begin()
    mask = Mask.from_spec(spec, [*before, *opened.tokens[:start]])
    for index in range(start, end + 1):
        sentences[index] = mask.explain()
        if index == len(opened.tokens):
            return
        token = opened.tokens[index]
        # In the history of a conversation an answer ends in `<|end|>`, where the model wrote `<|return|>`.
        written = RETURN if token == END and RETURN in mask.legal_specials() else token
        try:
            mask.advance(written)
        except ConstraintError:
            refused.append(index)
            return
