"""The shape of a turn: a regular expression over control tokens, literal text and bodies.

Everything that says what may come next is read from one shape: the Lark grammar, the structural tag and the
legal control tokens. A shape can be asked for what is left of it behind some token or text, its derivative,
which is how a grammar starts in the middle of a turn.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from harmony_py.errors import ConstraintError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True)
class Token:
    """One control token, by id: text that is spelled alike is something else."""

    id: int


@dataclass(frozen=True, slots=True)
class Literal:
    """Exactly this text, whatever its tokens. Never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class AnyText:
    """Any text at all that is UTF-8, the empty one as well; no control token."""


@dataclass(frozen=True, slots=True)
class JsonText:
    """JSON that a schema allows."""

    schema: str


@dataclass(frozen=True, slots=True)
class RegexText:
    """Text that matches, from its first to its last character."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Seq:
    """The parts one after the other; without parts, nothing at all."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the ways; without ways, what cannot be."""

    ways: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The part again and again, up to `most` times."""

    part: Shape
    most: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A part with a name, for people who read the grammar."""

    name: str
    part: Shape


Leaf: TypeAlias = "Token | Literal | AnyText | JsonText | RegexText"
Shape: TypeAlias = "Leaf | Seq | OneOf | Repeat | Rule"

EMPTY = Seq(())
NOTHING = OneOf(())


def seq(*parts: Shape) -> Shape:
    """The parts in a row, as plainly as it can be said."""
    flat: list[Shape] = []
    for part in parts:
        if part == NOTHING:
            return NOTHING
        flat += part.parts if isinstance(part, Seq) else [part]
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))


def one_of(*ways: Shape) -> Shape:
    """One of the ways, each said once."""
    flat: dict[Shape, None] = {}
    for way in ways:
        flat.update(dict.fromkeys(way.ways if isinstance(way, OneOf) else [way]))
    return next(iter(flat)) if len(flat) == 1 else OneOf(tuple(flat))


def repeat(part: Shape, most: int) -> Shape:
    return Repeat(part, most) if most else EMPTY


# -- what may come first -----------------------------------------------------------------------------------


def may_end(shape: Shape) -> bool:
    """Whether nothing more need come. Of a regular expression nobody knows here, so that it may."""
    match shape:
        case Seq(parts):
            return all(map(may_end, parts))
        case OneOf(ways):
            return any(map(may_end, ways))
        case Rule(_, part):
            return may_end(part)
        case Token() | Literal() | JsonText():
            return False
    return True


def first(shape: Shape) -> frozenset[Leaf]:
    """The leaves that may come next."""
    match shape:
        case Seq(parts):
            leaves: frozenset[Leaf] = frozenset()
            for part in parts:
                leaves |= first(part)
                if not may_end(part):
                    break
            return leaves
        case OneOf(ways):
            return frozenset[Leaf]().union(*map(first, ways))
        case Repeat(part, _) | Rule(_, part):
            return first(part)
    return frozenset([shape])


def control_tokens(shape: Shape) -> frozenset[int]:
    """The control tokens that may come next."""
    return frozenset(leaf.id for leaf in first(shape) if isinstance(leaf, Token))


# -- what is left ------------------------------------------------------------------------------------------


def after_token(shape: Shape, token: int) -> Shape:
    """What is left of `shape` behind a control token; `NOTHING` if it may not come."""
    return _after(shape, lambda leaf: EMPTY if leaf == Token(token) else NOTHING)


def after_text(shape: Shape, text: str) -> Shape:
    """What is left of `shape` behind some text. `ConstraintError` within JSON or a regular expression, where
    only an engine can tell."""
    for character in text:
        shape = _after(shape, functools.partial(_behind, character))
    return shape


def after(shape: Shape, pieces: Iterable[int | str]) -> Shape:
    """What is left of `shape` behind control tokens and texts."""
    for piece in pieces:
        shape = after_token(shape, piece) if isinstance(piece, int) else after_text(shape, piece)
    return shape


def _after(shape: Shape, left_of: Callable[[Leaf], Shape]) -> Shape:
    match shape:
        case Seq(()):
            return NOTHING
        case Seq(parts):
            rest = seq(*parts[1:])
            left = seq(_after(parts[0], left_of), rest)
            return one_of(left, _after(rest, left_of)) if may_end(parts[0]) else left
        case OneOf(ways):
            return one_of(*(_after(way, left_of) for way in ways))
        case Repeat(part, most):
            return seq(_after(part, left_of), repeat(part, most - 1))
        case Rule(_, part):
            return _after(part, left_of)
    return left_of(shape)


def _behind(character: str, leaf: Leaf) -> Shape:
    match leaf:
        case Literal(text) if text[0] == character:
            return Literal(text[1:]) if len(text) > 1 else EMPTY
        case AnyText():
            return leaf
        case JsonText() | RegexText():
            raise ConstraintError(
                "JSON or text for a regular expression has begun, and no grammar says what is left of it; "
                "a Mask can go on there",
                "position",
            )
    return NOTHING
