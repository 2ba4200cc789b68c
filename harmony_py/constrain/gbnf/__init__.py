"""A turn as a grammar in GBNF, for llama.cpp and what is built on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from harmony_py.constrain import shape as shapes
from harmony_py.constrain.gbnf.pattern import whole_text
from harmony_py.constrain.gbnf.rules import NOTHING, Rules, one_of, quoted
from harmony_py.constrain.gbnf.schema import Schema
from harmony_py.constrain.gbnf.text import any_text
from harmony_py.constrain.turn import turn
from harmony_py.errors import ConstraintError
from harmony_py.format.grammar import SPELLED

if TYPE_CHECKING:
    from harmony_py.constrain.position import Position
    from harmony_py.constrain.shape import Shape
    from harmony_py.constrain.spec import TurnSpec

ControlTokens: TypeAlias = Literal["id", "text"]


def to_gbnf(spec: TurnSpec, position: Position | None = None, *, control_tokens: ControlTokens = "id") -> str:
    """The grammar of what is left of the turn at `position`, by default of a turn not begun.

    A string, made without any other library. It ends right before `<|return|>` and `<|call|>`, which are ends
    of text to llama.cpp: those come only where the grammar may end. `ConstraintError` names what GBNF cannot
    say. With `control_tokens="text"`, for a llama.cpp of before December 2025, markers are texts like any
    other, and the model may spell them with ordinary tokens.
    """
    if control_tokens not in ("id", "text"):
        raise ConstraintError(f"expected 'id' or 'text', found {control_tokens!r}", "control_tokens")
    writer = _Writer(spec, control_tokens)
    writer.rules.define("root", lambda: writer.write(turn(spec, position, stop_in_grammar=False)))
    return writer.rules.written()


class _Writer:
    def __init__(self, spec: TurnSpec, control_tokens: ControlTokens) -> None:
        self.rules = Rules()
        self._spec, self._control_tokens = spec, control_tokens
        self._schemas: dict[str, str] = {}

    def write(self, shape: Shape) -> str:
        match shape:
            case shapes.Token(id):
                return f"<[{id}]>" if self._control_tokens == "id" else quoted(SPELLED[id])
            case shapes.Literal(text):
                return quoted(text)
            case shapes.AnyText():
                return any_text(self.rules)
            case shapes.JsonText(schema):
                return self._json(shape, schema)
            case shapes.RegexText(pattern):
                return f"({whole_text(pattern, 'final.pattern', self.rules)})"
            case shapes.Rule(name, part):
                return self.rules.define(name, lambda: self.write(part))
            case shapes.Repeat(part, most):
                return self.rules.repeated(self.write(part), 0, most, "the specification as a whole")
            case shapes.Seq(parts):
                return " ".join(map(self.write, parts)) or NOTHING
            case shapes.OneOf(ways):
                return one_of(map(self.write, ways))

    def _json(self, shape: shapes.JsonText, schema: str) -> str:
        """A schema that several tools share is written once."""
        if schema not in self._schemas:
            number = len(self._schemas)
            where = self._where(shape)
            written = Schema(schema, where, self.rules, number)
            try:
                self._schemas[schema] = self.rules.define(f"json-{number}", written.written)
            except RecursionError:
                raise ConstraintError("schemas within schemas, or references, go too deep", where) from None
        return self._schemas[schema]

    def _where(self, body: Shape) -> str:
        """Where in the specification a body comes from."""
        if body == self._spec.answer:
            return "final.schema"
        return next(
            f"tool {each.recipient!r}, parameters" for each in self._spec.callees if each.body == body
        )
