"""Records of parsed messages to `Message` objects, with the ids they came from."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

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
    message = _construct(
        Message,
        author=_construct(Author, role=header.role, name=header.name),
        content=[_construct(TextContent, type="text", text=text[1:] if record.skip else text)],
        channel=header.channel,
        recipient=header.recipient,
        content_type=header.content_type,
    )
    if not record.mended:
        message.attach_source(_source(record, tokens))
    return message


_Model = TypeVar("_Model", bound=BaseModel)


def _construct(model: type[_Model], **fields: Any) -> _Model:
    """`model(**fields)` for fields of the right types, all of them given.

    What `model_construct` does, less its search for aliases and defaults: with it, making the messages
    would take longer than parsing the tokens.
    """
    made = model.__new__(model)
    put = object.__setattr__
    put(made, "__dict__", fields)
    put(made, "__pydantic_fields_set__", set(fields))
    put(made, "__pydantic_extra__", None)
    private = model.__private_attributes__
    put(
        made,
        "__pydantic_private__",
        {name: attribute.get_default() for name, attribute in private.items()} or None,
    )
    return made


def _source(record: Record, tokens: list[int]) -> MessageSource:
    ids = tokens[record.start : record.stop]
    if record.prompted:
        ids = [*_prompt_of(record.header.role), *ids]
    terminator = tokens[record.end] if record.stop > record.end else None
    return MessageSource(tuple(ids), record.start, record.header.style, terminator, terminator is not None)


@functools.cache
def _prompt_of(role: Role) -> tuple[int, ...]:
    return (START, *Tokenizer.o200k_harmony().encode_ordinary(role.value))
