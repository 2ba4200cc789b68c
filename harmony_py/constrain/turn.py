"""A turn's shape: preludes, which are thoughts and words to the user, and then an answer or a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harmony_py.chat.messages import Role
from harmony_py.constrain.position import Position
from harmony_py.constrain.shape import (
    EMPTY,
    NOTHING,
    AnyText,
    JsonText,
    Literal,
    Rule,
    Token,
    after,
    one_of,
    repeat,
    seq,
)
from harmony_py.errors import ConstraintError
from harmony_py.tokenizer.special import CALL, CHANNEL, CONSTRAIN, END, MESSAGE, RETURN, START

if TYPE_CHECKING:
    from harmony_py.chat import HeaderStyle
    from harmony_py.constrain.shape import Shape
    from harmony_py.constrain.spec import Callee, TurnSpec

MOST_PRELUDES: Final = 16
"""Messages before the answer or call, so that every turn comes to an end."""

_BEGIN: Final = seq(Token(START), Literal(Role.ASSISTANT.value))


def turn(spec: TurnSpec, position: Position | None = None, *, stop_in_grammar: bool = True) -> Shape:
    """The shape of what is left of the turn at `position`, by default of a turn not begun.

    With `stop_in_grammar` it ends in `<|return|>` or `<|call|>`; without, right before them.
    `ConstraintError` if what is there already is not what `spec` allows.
    """
    position = position or Position()
    left = after(_whole(spec, position.thought, stop_in_grammar), position.pieces())
    if left == NOTHING:
        raise ConstraintError(
            "the prompt has begun a message that the specification does not allow", "position"
        )
    return left


def _whole(spec: TurnSpec, thought: bool, stop_in_grammar: bool) -> Shape:
    thinking = Rule("thoughts", _message(Literal("analysis"), AnyText(), seq(Token(END), _BEGIN)))
    words = Rule("words", _message(Literal("commentary"), AnyText(), seq(Token(END), _BEGIN)))
    before = [thinking] if spec.reasoning != "forbidden" else []
    preludes = one_of(*before, words) if spec.preamble else one_of(*before)
    first: Shape = thinking if spec.reasoning == "required" and not thought else EMPTY
    left = MOST_PRELUDES if preludes != NOTHING else 0
    return seq(_BEGIN, first, repeat(preludes, left), _act(spec, stop_in_grammar))


def _act(spec: TurnSpec, stop_in_grammar: bool) -> Shape:
    answer_stop, call_stop = (Token(RETURN), Token(CALL)) if stop_in_grammar else (EMPTY, EMPTY)
    ways: list[Shape] = []
    if spec.answer is not None:
        types = _content_type(("json",)) if isinstance(spec.answer, JsonText) else EMPTY
        ways.append(Rule("answer", _message(seq(Literal("final"), types), spec.answer, answer_stop)))
    for i, callee in enumerate(spec.callees):
        headers = one_of(*(_address(callee, style) for style in spec.header_styles))
        ways.append(Rule(f"call_{i}", seq(headers, Token(MESSAGE), callee.body, call_stop)))
    return one_of(*ways)


def _message(header: Shape, body: Shape, stop: Shape) -> Shape:
    return seq(Token(CHANNEL), header, Token(MESSAGE), body, stop)


def _address(callee: Callee, style: HeaderStyle) -> Shape:
    """A call's header behind the role: to whom, on which channel, and of what type the content is."""
    to = f" to={callee.recipient}"
    types = _content_type(callee.content_types)
    if style == "channel_first":
        return seq(Token(CHANNEL), one_of(*(Literal(channel + to) for channel in callee.channels)), types)
    return seq(Literal(to), Token(CHANNEL), one_of(*map(Literal, callee.channels)), types)


def _content_type(names: tuple[str, ...]) -> Shape:
    """Every way in which models write it: not at all, as a word, behind a marker, with a space or without."""
    words = (Literal(f" {name}") for name in names)
    marked = seq(one_of(Literal(" "), EMPTY), Token(CONSTRAIN), one_of(*map(Literal, names)))
    return Rule(f"type_{'_'.join(names)}", one_of(EMPTY, *words, marked))
