"""Streams of tokens as people write and read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from harmony_py.format.decode import to_text
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import CALL, CHANNEL, CONSTRAIN, END, MESSAGE, START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.testing.implementation import Fields
    from harmony_py.tokenizer import Segment

CONSTRAIN_SPELLED = "<|constrain|>"


class Stream(NamedTuple):
    """Tokens, the role whose message they continue, and the messages that they are meant to be."""

    tokens: list[int]
    role: str | None
    messages: tuple[Fields, ...]


def ids(text: str) -> list[int]:
    """The tokens of `text`, in which control tokens are spelled."""
    return Tokenizer.o200k_harmony().encode(text, allowed_special="all")


def of_segments(segments: Sequence[Segment]) -> list[int]:
    """The tokens of pieces of text, which are never control tokens, and of control tokens, by id."""
    return Tokenizer.o200k_harmony().encode_segments(list(segments))[0]


def spelled(tokens: Sequence[int]) -> str:
    """The tokens as text, control tokens by name: for people."""
    return to_text(tokens)


def header(
    fields: Fields, *, prompted: bool = False, channel_first: bool = True, gap: str = " "
) -> list[int]:
    """A header that says `fields`: from `<|start|>`, or behind it and the role, through `<|message|>`.

    `gap` stands before a content type's marker; models also leave it out.
    """
    to = f" to={fields.recipient}" if fields.recipient is not None else ""
    channel: list[Segment] = [] if fields.channel is None else [CHANNEL, fields.channel]
    segments: list[Segment] = [] if prompted else [START, author(fields)]
    segments += [*channel, to] if channel_first else [to, *channel]
    return of_segments([*segments, *content_type(fields.content_type, gap), MESSAGE])


def author(fields: Fields) -> str:
    """How a header names who speaks."""
    if fields.role == "tool":
        return fields.name or ""
    return fields.role if fields.name is None else f"{fields.role}:{fields.name}"


def content_type(value: str | None, gap: str = " ") -> list[Segment]:
    """The end of a header that has a content type."""
    if value is None:
        return []
    if value.startswith(CONSTRAIN_SPELLED):
        return [gap, CONSTRAIN, value.removeprefix(CONSTRAIN_SPELLED)]
    return [f" {value}"]


def terminator(fields: Fields) -> int:
    """What a message ends in while the conversation goes on."""
    return CALL if fields.role == "assistant" and fields.recipient is not None else END
