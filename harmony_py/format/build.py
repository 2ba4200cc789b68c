"""Records of parsed messages to `Message` objects, with the ids they came from."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from harmony_py.chat.content import TextContent
from harmony_py.chat.messages import Author, Message, MessageSource, Role
from harmony_py.format.decode import to_text
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import START

if TYPE_CHECKING:
    from harmony_py.format.machine import Record


def build_message(record: Record, tokens: list[int]) -> Message:
    """The message a record stands for. It remembers its ids unless they are not well formed."""
    header = record.header
    text = to_text(tokens[record.body : record.end])
    # Every field is known to be of its type: validating them again would cost more than parsing did.
    message = Message.model_construct(
        author=Author.model_construct(role=header.role, name=header.name),
        content=[TextContent.model_construct(text=text[1:] if record.skip else text)],
        channel=header.channel,
        recipient=header.recipient,
        content_type=header.content_type,
    )
    if not record.mended:
        message.attach_source(_source(record, tokens))
    return message


def _source(record: Record, tokens: list[int]) -> MessageSource:
    ids = tokens[record.start : record.stop]
    if record.prompted:
        ids = [*_prompt_of(record.header.role), *ids]
    terminator = tokens[record.end] if record.stop > record.end else None
    return MessageSource(tuple(ids), record.start, record.header.style, terminator, terminator is not None)


@functools.cache
def _prompt_of(role: Role) -> tuple[int, ...]:
    return (START, *Tokenizer.o200k_harmony().encode_ordinary(role.value))
