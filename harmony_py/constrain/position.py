"""Where in the assistant's turn the next token stands."""

from __future__ import annotations

import itertools
from operator import index
from typing import TYPE_CHECKING, Final, NamedTuple

from harmony_py.chat.messages import Role
from harmony_py.errors import ConstraintError
from harmony_py.format.header import Header, HeaderError, read
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import END, MESSAGE, START, START_OF_TEXT, STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PRELUDE_CHANNELS: Final = ("analysis", "commentary")
"""Of the messages that come before a turn's answer or call: thoughts, and words to the user."""


class Position(NamedTuple):
    """What a turn already holds. Without arguments: nothing, not even its `<|start|>`."""

    thought: bool = False
    """A message of thoughts is behind it."""
    spent: int = 0
    """The tokens in such messages, their headers not counted."""
    open: tuple[int, ...] = ()
    """The tokens of the message that has begun, its `<|start|>` first; empty between messages."""

    @classmethod
    def of(cls, prompt: Iterable[int]) -> Position:
        """The position at the end of `prompt`.

        The turn reaches back over the assistant's thoughts and preambles right before. A prompt that holds no
        `<|start|>` is what follows one and the assistant's role.
        """
        tokens = tuple(map(index, prompt))
        starts = [i for i, token in enumerate(tokens) if token == START]
        if not starts:
            return cls(open=(START, *_assistant(), *tokens))
        ends = [*starts[1:], len(tokens)]
        messages = [tokens[start:end] for start, end in zip(starts, ends, strict=True)]
        opened = () if messages[-1][-1] in STOP_TOKENS else messages.pop()
        earlier = list(itertools.takewhile(_is_prelude, reversed(messages)))
        thoughts = [message for message in earlier if spoken_on(message) == "analysis"]
        spent = sum(len(message) - message.index(MESSAGE) - 2 for message in thoughts)
        return cls(bool(thoughts), spent, opened)

    def pieces(self) -> Iterator[int | str]:
        """The open message as control tokens and texts; `ConstraintError` where a text is not UTF-8."""
        for is_text, run in itertools.groupby(self.open, START_OF_TEXT.__gt__):
            if not is_text:
                yield from run
                continue
            try:
                yield Tokenizer.o200k_harmony().decode_bytes(list(run)).decode()
            except UnicodeDecodeError:
                raise ConstraintError("the open message ends within a character", "position") from None


def _assistant() -> list[int]:
    return Tokenizer.o200k_harmony().encode_ordinary(Role.ASSISTANT.value)


def _is_prelude(message: tuple[int, ...]) -> bool:
    return message[-1] == END and spoken_on(message) in PRELUDE_CHANNELS


def spoken_on(message: tuple[int, ...]) -> str | None:
    """The channel on which the assistant spoke to nobody in particular; None for any other message."""
    header = header_of(message)
    if header is None or header.role is not Role.ASSISTANT or header.recipient is not None:
        return None
    return header.channel


def header_of(message: tuple[int, ...]) -> Header | None:
    """What the header of a message says; None if it is not whole, or says nothing."""
    if MESSAGE not in message:
        return None
    try:
        return read(message[1 : message.index(MESSAGE)], None)
    except HeaderError:
        return None
