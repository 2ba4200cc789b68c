"""A turn as a Lark grammar in llguidance's dialect, for llguidance and the hosts that take one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from harmony_py.constrain.shape import AnyText, JsonText, Literal, OneOf, RegexText, Repeat, Rule, Seq, Token
from harmony_py.constrain.turn import turn
from harmony_py.errors import ConstraintError
from harmony_py.format.grammar import SPELLED

if TYPE_CHECKING:
    from harmony_py.constrain.position import Position
    from harmony_py.constrain.shape import Shape
    from harmony_py.constrain.spec import TurnSpec

# Forced text would have to be cut into tokens, and the model might have cut it otherwise: nothing is forced.
_HEAD: Final = '%llguidance {"no_forcing": true}\n'

_ANY_TEXT: Final = r"/(.|\n)*/"


def to_lark(spec: TurnSpec, position: Position | None = None, *, stop_in_grammar: bool = True) -> str:
    """The grammar of what is left of the turn at `position`, by default of a turn not begun.

    A string, made without any other library. With `stop_in_grammar`, `<|return|>` and `<|call|>` are part of
    the grammar: the engine must then know `<|endoftext|>` as its only end of text. Without, the grammar ends
    right before them, for hosts that let the model stop wherever the grammar may end.
    """
    return lark(turn(spec, position, stop_in_grammar=stop_in_grammar))


def lark(shape: Shape) -> str:
    """The grammar of a shape."""
    rules: dict[str, str] = {}
    start = _written(shape, rules)
    return _HEAD + "".join(f"{name}: {body}\n" for name, body in [("start", start), *rules.items()])


def _written(shape: Shape, rules: dict[str, str]) -> str:
    match shape:
        case Token(id):
            return SPELLED[id]
        case Literal(text):
            # Written as JSON, a text holds neither quotes nor line ends that could end it.
            return json.dumps(text)
        case AnyText():
            rules["TEXT"] = _ANY_TEXT
            return "TEXT"
        case JsonText(schema):
            return _named("json", f"%json {schema}", rules)
        case RegexText(pattern):
            return f"/{_in_slashes(pattern)}/" if pattern else '""'
        case Rule(name, part):
            if name not in rules:
                rules[name] = ""  # keeps its place before the rules within it
                rules[name] = _written(part, rules)
            return name
        case Repeat(part, most):
            return f"({_written(part, rules)}){{0,{most}}}"
        case Seq(parts):
            return " ".join(_written(part, rules) for part in parts) or '""'
        case OneOf(ways):
            return f"({' | '.join(_written(way, rules) for way in ways)})"


def _named(kind: str, body: str, rules: dict[str, str]) -> str:
    """The rule that says `body`: a schema that several tools share is written once."""
    for name, said in rules.items():
        if said == body:
            return name
    name = f"{kind}_{sum(each.startswith(f'{kind}_') for each in rules)}"
    rules[name] = body
    return name


def _in_slashes(pattern: str) -> str:
    """`pattern` such that neither a slash nor the end of a line ends it early."""
    written: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            following = next(characters, None)
            if following is None:
                raise ConstraintError("a backslash at the end escapes nothing", "final.pattern")
            character += following
        written.append(_AWKWARD.get(character[-1], character))
    return "".join(written)


_AWKWARD: Final = {"/": r"\/", "\n": r"\n", "\r": r"\r"}
