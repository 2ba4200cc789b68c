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
    """The message a record stands for."""
    header = record.header
    text = to_text(tokens[record.body : record.end])
    if record.skip:
        text = text[1:]
    message = _construct(
        Message,
        {
            "author": _construct(Author, {"role": header.role, "name": header.name}),
            "content": [_construct(TextContent, {"type": "text", "text": text})],
            "channel": header.channel,
            "recipient": header.recipient,
            "content_type": header.content_type,
        },
        _NO_SOURCE.copy(),
    )
    if record.sourced:
        message.attach_source(_source(record, tokens))
    return message


_Model = TypeVar("_Model", bound=BaseModel)

_NO_SOURCE = {name: private.get_default() for name, private in Message.__private_attributes__.items()}

_put = object.__setattr__


def _construct(model: type[_Model], fields: dict[str, Any], private: dict[str, Any] | None = None) -> _Model:
    """`model(**fields)` for fields of the right types, all of them given.

    What `model_construct` does, less its search for aliases and defaults: with that, making the messages
    takes longer than parsing the tokens.
    """
    made = model.__new__(model)
    _put(made, "__dict__", fields)
    _put(made, "__pydantic_fields_set__", set(fields))
    _put(made, "__pydantic_extra__", None)
    _put(made, "__pydantic_private__", private)
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
