"""A turn as a structural tag of xgrammar, in its formats that see tokens and not their spelling."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from harmony_py.constrain.schema import ENGINE_SETTINGS
from harmony_py.constrain.shape import AnyText, JsonText, Literal, OneOf, RegexText, Repeat, Rule, Seq, Token
from harmony_py.constrain.turn import turn
from harmony_py.tokenizer.special import N_VOCAB, START_OF_TEXT

if TYPE_CHECKING:
    from harmony_py.constrain.position import Position
    from harmony_py.constrain.shape import Shape
    from harmony_py.constrain.spec import TurnSpec

CONTROL_TOKENS: Final = tuple(range(START_OF_TEXT, N_VOCAB))


def to_xgrammar(
    spec: TurnSpec, position: Position | None = None, *, stop_in_grammar: bool = True
) -> dict[str, Any]:
    """The structural tag of what is left of the turn at `position`, by default of a turn not begun.

    Plain JSON, made without any other library. xgrammar allows no stop token in a grammar: with
    `stop_in_grammar` give it `<|endoftext|>` as the only one, or there is no way out of a call; without, the
    tag ends right before `<|return|>` and `<|call|>`, and the host's stop tokens end the turn.
    """
    return {
        "type": "structural_tag",
        "format": _format(turn(spec, position, stop_in_grammar=stop_in_grammar)),
    }


def _format(shape: Shape) -> dict[str, Any]:
    match shape:
        case Token(id):
            return {"type": "token", "token": id}
        case Literal(text):
            return {"type": "const_string", "value": text}
        case AnyText():
            return {"type": "any_tokens", "exclude_tokens": list(CONTROL_TOKENS)}
        case JsonText(schema):
            return {"type": "json_schema", "json_schema": _schema(schema)}
        case RegexText(pattern):
            return {"type": "regex", "pattern": pattern}
        case Rule(_, part):
            return _format(part)
        case Repeat(part):
            # Counted, `any_tokens` takes every token there is (xgrammar 0.2.8): so nothing is counted.
            return {"type": "star", "content": _format(part)}
        case Seq(()):
            return {"type": "const_string", "value": ""}
        case Seq(parts):
            return {"type": "sequence", "elements": [_format(part) for part in parts]}
        case OneOf(ways):
            return {"type": "or", "elements": [_format(way) for way in ways]}


def _schema(schema: str) -> Any:
    return {word: value for word, value in json.loads(schema).items() if word != ENGINE_SETTINGS}
