"""The grammar of a token stream as one table: state -> legal control tokens -> next state.

The parser, the `expected` of its errors, the mask of legal control tokens and the table in
`docs/format.md` all read it, so they cannot disagree.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from harmony_py.tokenizer.special import CALL, CHANNEL, CONSTRAIN, END, MESSAGE, RETURN, SPECIAL_TOKENS, START

CHANNELS: Final = ("analysis", "commentary", "final")
"""The channels that the models know: thoughts; calls and the words around them; the answer."""


class StreamState(Enum):
    """Where in a message a parser stands, as coarsely as `openai-harmony` tells it."""

    EXPECT_START = "ExpectStart"
    HEADER = "Header"
    CONTENT = "Content"


class State(Enum):
    """Where in a message a parser stands: which part of it the next text belongs to."""

    BETWEEN = "between messages"
    ROLE = "role"
    CHANNEL = "channel"
    EARLY_TYPE = "content type, before the channel"
    LATE_CHANNEL = "channel, after the content type"
    TYPE = "content type"
    CONTENT = "content"

    # A member equals itself alone; an enum's own hash is a Python call, paid in every look-up.
    __hash__ = object.__hash__


class Row(NamedTuple):
    """One state: how hosts see it, whether text may stand here, and where each legal control token leads."""

    stream_state: StreamState
    text: bool
    next: dict[int, State]


_HEADER: Final = StreamState.HEADER

TABLE: Final[dict[State, Row]] = {
    State.BETWEEN: Row(StreamState.EXPECT_START, False, {START: State.ROLE}),
    State.ROLE: Row(
        _HEADER, True, {CHANNEL: State.CHANNEL, CONSTRAIN: State.EARLY_TYPE, MESSAGE: State.CONTENT}
    ),
    State.CHANNEL: Row(_HEADER, True, {CONSTRAIN: State.TYPE, MESSAGE: State.CONTENT}),
    State.EARLY_TYPE: Row(_HEADER, True, {CHANNEL: State.LATE_CHANNEL, MESSAGE: State.CONTENT}),
    State.LATE_CHANNEL: Row(_HEADER, True, {MESSAGE: State.CONTENT}),
    State.TYPE: Row(_HEADER, True, {MESSAGE: State.CONTENT}),
    State.CONTENT: Row(
        StreamState.CONTENT, True, {END: State.BETWEEN, RETURN: State.BETWEEN, CALL: State.BETWEEN}
    ),
}

SPELLED: Final = {token: name for name, token in SPECIAL_TOKENS.items()}
"""Every control token's spelling."""


def legal_control_tokens(state: State) -> frozenset[int]:
    """The control tokens that may come next in `state`; every other id at or above the first is illegal."""
    return frozenset(TABLE[state].next)


def expected(state: State) -> tuple[str, ...]:
    """What may come next in `state`, spelled out: for people."""
    row = TABLE[state]
    return (*(["text"] if row.text else []), *(SPELLED[token] for token in row.next))


def markdown() -> str:
    """The table as it stands in `docs/format.md`."""
    head = "| state | seen by hosts as | text | control token -> next state |\n|---|---|---|---|\n"
    return head + "".join(_markdown_row(state, row) for state, row in TABLE.items())


def _markdown_row(state: State, row: Row) -> str:
    # GitHub takes a bar for the end of a cell, be it in code or not.
    leads = ", ".join(f"`{SPELLED[token]}` -> {after.value}" for token, after in row.next.items())
    leads = leads.replace("|", r"\|")
    text = "yes" if row.text else "no"
    return f"| {state.value} | `{row.stream_state.name}` | {text} | {leads} |\n"
