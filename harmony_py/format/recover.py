"""The recovering policy: nothing raises, no token is lost, and every repair is reported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from harmony_py.chat.messages import Role
from harmony_py.format import header
from harmony_py.format.decode import is_valid, to_text
from harmony_py.format.grammar import CHANNELS, SPELLED, TABLE, State
from harmony_py.format.header import Header, HeaderError, token_texts
from harmony_py.format.machine import NOTHING_HELD
from harmony_py.format.mend import is_doubtful, mend, normalise, split
from harmony_py.format.strict import is_prompt
from harmony_py.tokenizer.special import (
    CHANNEL,
    CONSTRAIN,
    END,
    END_OF_TEXT,
    MESSAGE,
    START,
    STOP_TOKENS,
)

if TYPE_CHECKING:
    from harmony_py.format.machine import Machine

_LONGEST_HELD: Final = 24
"""In tokens: how long a header that begins inside content may be, recipient and content type included."""

_LONGEST_STRAY_HEADER: Final = 24
"""In tokens: how much text between messages can be the beginning of a header without `<|start|>`."""

_STRAY_HEADER: Final = re.compile(
    rf"({'|'.join(header.ROLES)})?\s{{0,2}}(?:{'|'.join(CHANNELS)})?\s{{0,2}}(?:to=\S*)?"
)

_ENDS: Final = STOP_TOKENS | {END_OF_TEXT}


class Recover:
    """Makes of any stream the messages it most likely means."""

    any_id = True

    def stray_text(self, machine: Machine, ids: list[int]) -> None:
        if machine.held < 0:
            machine.tokens += ids
            return
        room = machine.held + _LONGEST_HELD - len(machine.tokens)
        machine.tokens += ids[:room]
        if len(ids) >= room:
            _release(machine)
            machine.tokens += ids[room:]

    def unexpected(self, machine: Machine, token: int) -> None:
        if not is_valid(token):
            machine.report("invalid_token", len(machine.tokens) - 1, detail=str(token))
            if machine.held < 0:
                return
        if machine.held >= 0:
            _while_held(machine, token)
        elif machine.state is State.BETWEEN:
            _between(machine, token)
        elif machine.state is State.CONTENT:
            _in_content(machine, token)
        else:
            _in_header(machine, token)

    def read_header(self, machine: Machine) -> Header:
        return _read(machine, tuple(machine.tokens[machine.head : -1]))

    def finish(self, machine: Machine) -> None:
        here = len(machine.tokens)
        if machine.held >= 0:
            _release(machine)
            machine.close(here, here)
        elif machine.state is State.BETWEEN:
            if not _close_stray_text(machine, here):
                machine.report("noise", machine.text_start, here)
                machine.text_start = here
        elif not is_prompt(machine):
            # A header that lacks nothing but its end stays pending.
            _close_without_message(machine, here, here)


# -- between messages --------------------------------------------------------------------------------------


def _between(machine: Machine, token: int) -> None:
    at = len(machine.tokens) - 1
    if token in (CHANNEL, CONSTRAIN, MESSAGE):
        role = _stray_header_role(machine.tokens[machine.text_start : at])
        start = at if role is None else machine.text_start
        machine.open_header(start, role or Role.ASSISTANT)
        machine.report("missing_start", start)
        if token == MESSAGE:
            machine.open_content(machine.policy.read_header(machine), at + 1)
        else:
            machine.state = TABLE[State.ROLE].next[token]
    elif token not in _ENDS or not _close_stray_text(machine, at):
        machine.report("noise", machine.text_start, at + 1)
        machine.text_start = at + 1


def _stray_header_role(run: list[int]) -> Role | None:
    """The role of the header that text between messages begins; None if it begins none."""
    if not run or len(run) > _LONGEST_STRAY_HEADER:
        return None
    found = _STRAY_HEADER.fullmatch(to_text(run).strip())
    return found and Role(found[1] or Role.ASSISTANT)


def _close_stray_text(machine: Machine, end: int) -> bool:
    """Text between messages is over. Behind an `<|end|>` it was a message that lacks its header; False where
    it was nothing but noise."""
    start = machine.text_start
    previous = machine.records[-1] if machine.records else None
    ended = previous is not None and previous.stop == start and machine.tokens[start - 1] == END
    if not ended or not to_text(machine.tokens[start:end]).strip():
        return False
    machine.open_header(start, Role.ASSISTANT)
    return _close_without_message(machine, end, len(machine.tokens))


# -- in a header -------------------------------------------------------------------------------------------


def _in_header(machine: Machine, token: int) -> None:
    """Control tokens that may not stand in a header are left for `mend`, unless they end it."""
    at = len(machine.tokens) - 1
    if token in _ENDS:
        if not _close_without_message(machine, at, at + 1):
            machine.report("noise", machine.start, at + 1)
            machine.drop_header()
    elif token == START:
        if not _close_without_message(machine, at, at):
            machine.report("repeated_start", machine.start, at)
            machine.drop_header()
        machine.text_start = at
        machine.open_header(at)


def _close_without_message(machine: Machine, end: int, stop: int) -> bool:
    """The open header ends before `end` without a `<|message|>`: what follows its fields is the content.
    False where nothing can be told to be content."""
    tokens = machine.tokens[machine.head : end]
    found = split(token_texts(tokens))
    if found is None:
        return False
    machine.mended = True
    if found.body == 0:
        machine.report("missing_header", machine.start, end)
        fields = Header(machine.role or Role.ASSISTANT)
    else:
        machine.report("missing_message", machine.start, end)
        fields = _read(machine, tuple(tokens[: found.body]))
    machine.open_content(fields, machine.head + found.body, skip=found.skip)
    machine.close(end, stop)
    return True


def _read(machine: Machine, tokens: tuple[int, ...]) -> Header:
    """The header's fields: as they are, where they are well formed, else as they were most likely meant."""
    here = len(machine.tokens)
    fields = _read_exactly(machine, tokens)
    if fields is None:
        machine.mended = True
        fields, repairs = mend("".join(token_texts(tokens)), machine.role, machine.known_tools)
        for code, detail in repairs:
            machine.report(code, machine.start, here, detail)
    fields, repairs = normalise(fields, machine.known_tools)
    for code, detail in repairs:
        machine.report(code, machine.start, here, detail)
    if fields.role is Role.TOOL and machine.completes:
        machine.report("hallucinated_tool_result", machine.start, here, fields.name or "")
    return fields


def _read_exactly(machine: Machine, tokens: tuple[int, ...]) -> Header | None:
    try:
        fields = header.read(tokens, machine.role, machine.known_tools)
    except HeaderError:
        return None
    return None if tokens.count(CHANNEL) > 1 or is_doubtful(fields) else fields


# -- in content --------------------------------------------------------------------------------------------


def _in_content(machine: Machine, token: int) -> None:
    at = len(machine.tokens) - 1
    if token == START:
        machine.mended = True
        machine.report("missing_end", at)
        machine.close(at, at)
        machine.open_header(at)
    elif token == END_OF_TEXT:
        machine.mended = True
        machine.report("end_of_text", at)
        machine.close(at, at + 1)
    elif token == CHANNEL:
        machine.held = at
        machine.flowing = False
    else:
        machine.report("control_in_content", at, detail=SPELLED[token])


def _while_held(machine: Machine, token: int) -> None:
    """A channel marker inside content began a message if a channel and `<|message|>` follow it closely."""
    at = len(machine.tokens) - 1
    if token == MESSAGE and _names_channel(machine, at):
        begin = machine.held
        machine.mended = True
        machine.report("missing_end", begin)
        machine.close(begin, begin)
        machine.open_header(begin, Role.ASSISTANT)
        machine.open_content(machine.policy.read_header(machine), at + 1)
    elif token != CONSTRAIN or at + 1 - machine.held >= _LONGEST_HELD:
        _release(machine)
        if token in STOP_TOKENS:
            machine.close(at, at + 1)
        elif is_valid(token):
            _in_content(machine, token)


def _names_channel(machine: Machine, end: int) -> bool:
    try:
        fields = header.read(tuple(machine.tokens[machine.held : end]), Role.ASSISTANT, machine.known_tools)
    except HeaderError:
        return False
    return fields.channel in CHANNELS


def _release(machine: Machine) -> None:
    """What was held back is content after all."""
    begin, machine.held = machine.held, NOTHING_HELD
    machine.flowing = True
    machine.report("control_in_content", begin, detail=SPELLED[CHANNEL])
