"""Where a turn stands and what may come, in words."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from harmony_py.constrain import bits
from harmony_py.constrain.pointer import pointer
from harmony_py.constrain.position import header_of
from harmony_py.format.grammar import State
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import MESSAGE, START_OF_TEXT

if TYPE_CHECKING:
    from harmony_py.constrain.trail import Trail

SHOWN: Final = 8
LONGEST: Final = 60
"""Characters of the text before the place."""


def spelled(*tokens: int) -> str:
    """Tokens for people: their text, quoted, or the id where there is no such token."""
    try:
        return repr(Tokenizer.o200k_harmony().decode(tokens))
    except (KeyError, ValueError, OverflowError):
        return f"token {', '.join(map(str, tokens))}"


def place(trail: Trail) -> str:
    """Where the next token stands."""
    stage = trail.stage
    if stage.over:
        return "after the end of the turn"
    if stage.state is State.BETWEEN:
        return "between messages"
    message = trail.message
    if stage.state is not State.CONTENT:
        return f"in a header, after {_tail(message)}"
    body = message.index(MESSAGE) + 1
    header = header_of(message)
    text = f"{_inside(message[body:])}, after {_tail(message[body:])}"
    if len(message) == body:
        text = ", at its beginning"
    if header is not None and header.recipient is not None:
        return f"in a call of {header.recipient}{text}"
    return f"in the content of {header.channel if header else 'a message'}{text}"


def possible(mask: bytes) -> str:
    """What `mask` allows."""
    controls = [spelled(token) for token in bits.ids(mask, START_OF_TEXT)]
    texts = list(itertools.islice(bits.ids(mask), SHOWN + 1))
    texts = [token for token in texts if token < START_OF_TEXT]
    total = bits.count(mask) - len(controls)
    shown = ", ".join(map(spelled, texts[:SHOWN]))
    if total > SHOWN:
        shown = f"{total:,} tokens of text, such as {shown}"
    return f"Allowed: {'; '.join([*controls, *([shown] if total else [])]) or 'nothing'}."


def _inside(tokens: tuple[int, ...]) -> str:
    """Where in a JSON text its end stands, if it is one."""
    text = Tokenizer.o200k_harmony().decode(tokens)
    inner = pointer(text) if text[:1] in ("{", "[") else ""
    return f" at {inner}" if inner else ""


def _tail(tokens: tuple[int, ...]) -> str:
    text = Tokenizer.o200k_harmony().decode(tokens[-LONGEST:])
    return repr(text if len(text) <= LONGEST else f"...{text[-LONGEST:]}")
