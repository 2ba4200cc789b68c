"""The strict policy: what `openai-harmony` refuses is refused, and so is what it silently gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.format import header
from harmony_py.format.decode import FIRST_CONTROL
from harmony_py.format.grammar import TABLE, State
from harmony_py.tokenizer.special import MESSAGE, START

if TYPE_CHECKING:
    from harmony_py.format.header import Header
    from harmony_py.format.machine import Machine


class Strict:
    """Raises `ParseError`. After an error the machine waits for `<|start|>` and can be fed on."""

    any_id = False

    def stray_text(self, machine: Machine, ids: list[int]) -> None:
        machine.tokens.append(ids[0])
        raise self._no_start(machine)

    def unexpected(self, machine: Machine, token: int) -> None:
        """In content such a token is literal text. In a header it is judged with all of it, at its end."""
        if machine.state is State.BETWEEN:
            raise self._no_start(machine)

    def read_header(self, machine: Machine) -> Header:
        tokens = tuple(machine.tokens[machine.head : -1])
        try:
            return header.read(tokens, machine.role, machine.known_tools)
        except header.HeaderError as problem:
            error = machine.error(str(problem), machine.head + _first_illegal(tokens))
            machine.drop_header()
            raise error from None

    def finish(self, machine: Machine) -> None:
        if machine.state is not State.BETWEEN and not is_prompt(machine):
            raise machine.error(
                "Unexpected EOS while waiting for message header to complete", len(machine.tokens)
            )

    def _no_start(self, machine: Machine) -> Exception:
        token = machine.tokens[-1]
        return machine.error(
            f"Unexpected token {token} while expecting start token {START}", len(machine.tokens) - 1
        )


def is_prompt(machine: Machine) -> bool:
    """Whether the open header is `<|start|>` and an author: what a prompt for completion ends in."""
    if machine.state is not State.ROLE or machine.role is not None:
        return False
    try:
        opened = header.read(tuple(machine.tokens[machine.head :]), None, machine.known_tools)
    except header.HeaderError:
        return False
    return opened.recipient is None and opened.content_type is None


def _first_illegal(tokens: tuple[int, ...]) -> int:
    """Where in a header the first control token stands that the table does not allow; else its end."""
    state = State.ROLE
    for i, token in enumerate(tokens):
        if 0 <= token < FIRST_CONTROL:
            continue
        after = TABLE[state].next.get(token)
        if after is None or token == MESSAGE:
            return i
        state = after
    return len(tokens)
