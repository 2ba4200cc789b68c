"""`Message` and `Conversation`: who says what to whom, on which channel."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, PrivateAttr, model_validator
from typing_extensions import Self

from harmony_py.chat.arguments import Arguments, parse_arguments
from harmony_py.chat.content import AnyContent, Content, DeveloperContent, SystemContent, TextContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HeaderStyle = Literal["role_first", "channel_first"]
"""Where a header names the recipient: ` to=x<|channel|>y`, or `<|channel|>y to=x` as the models write it."""

EVERYONE = "all"
"""As a recipient it means the same as none."""


class Role(str, Enum):
    """Who speaks. A `Role` equals its name."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    DEVELOPER = "developer"
    TOOL = "tool"

    @classmethod
    def _missing_(cls, value: object) -> Role:
        raise ValueError(f"Unknown role: {value!r}")


class Author(BaseModel):
    """A role, and a name within it: for a tool the name of the tool, as in `functions.get_weather`."""

    role: Role
    name: str | None = None

    @classmethod
    def new(cls, role: Role, name: str) -> Author:
        return cls(role=role, name=name)


class MessageSource(NamedTuple):
    """The ids a message was parsed from, for rendering it again without changing one."""

    tokens: tuple[int, ...]
    """From the first id of the header, `<|start|>` where it was there, through the terminator."""
    start: int
    """Index of the first of them in the parsed stream."""
    header_style: HeaderStyle
    terminator: int | None
    """The id that ended the message; None where the stream ended first."""
    complete: bool


class Message(BaseModel):
    """One message. Its fields may be assigned freely; the `with_` methods assign and return the message."""

    author: Author
    content: list[AnyContent] = Field(default_factory=list)
    channel: str | None = None
    recipient: str | None = None
    content_type: str | None = None

    _source: MessageSource | None = PrivateAttr(default=None)
    _source_state: tuple[object, ...] | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _accept_flat_form(cls, data: Any) -> Any:
        """Take the form of `to_dict` too, where role and name stand beside the content."""
        if isinstance(data, dict) and "role" in data and "author" not in data:
            data = {**data, "author": {"role": data["role"], "name": data.get("name")}}
        if isinstance(data, dict) and isinstance(data.get("content"), str):
            data = {**data, "content": [{"type": "text", "text": data["content"]}]}
        return data

    # -- building ------------------------------------------------------------------------------------------

    @classmethod
    def from_author_and_content(cls, author: Author, content: str | Content) -> Self:
        return cls(author=author, content=[_as_content(content)])

    @classmethod
    def from_role_and_content(cls, role: Role, content: str | Content) -> Self:
        return cls.from_author_and_content(Author(role=role), content)

    @classmethod
    def from_role_and_contents(cls, role: Role, contents: Sequence[Content]) -> Self:
        return cls(author=Author(role=role), content=list(contents))

    def adding_content(self, content: str | Content) -> Self:
        self.content.append(_as_content(content))
        return self

    def with_channel(self, channel: str) -> Self:
        self.channel = channel
        return self

    def with_recipient(self, recipient: str) -> Self:
        self.recipient = recipient
        return self

    def with_content_type(self, content_type: str) -> Self:
        self.content_type = content_type
        return self

    # -- reading -------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The text parts, one after the other; what is not text is left out."""
        return "".join(part.text for part in self.content if isinstance(part, TextContent))

    @property
    def is_tool_call(self) -> bool:
        """Whether the assistant addresses a tool here: a recipient that is neither everyone nor a role."""
        return self.author.role == Role.ASSISTANT and names_tool(self.recipient)

    def arguments(self, *, repair: bool = False, only_parameter: str | None = None) -> Arguments:
        """The JSON object that a call passes, or `ArgumentsError`; see `parse_arguments` for repairs."""
        return parse_arguments(self.text, repair=repair, only_parameter=only_parameter)

    @property
    def namespace(self) -> str | None:
        """`functions` in a call to, or a result of, `functions.f`; None for a bare `python`."""
        head, dot, _ = self._tool_address.partition(".")
        return head if dot else None

    @property
    def tool_name(self) -> str | None:
        """`f` in a call to, or a result of, `functions.f`; None where no tool is concerned."""
        head, dot, tail = self._tool_address.partition(".")
        return (tail if dot else head) or None

    @property
    def _tool_address(self) -> str:
        if self.author.role == Role.TOOL:
            return self.author.name or ""
        return (self.recipient or "") if self.is_tool_call else ""

    # -- provenance ----------------------------------------------------------------------------------------

    @property
    def source(self) -> MessageSource | None:
        """The ids this message was parsed from; None once anything in the message has been changed."""
        return self._source if self.has_source and self._source_state == self._state() else None

    @property
    def has_source(self) -> bool:
        """Whether a source was attached, valid or not."""
        # Looked up where pydantic keeps it: by name it costs a microsecond, and renderers ask every message.
        private = self.__pydantic_private__
        return private is not None and private["_source"] is not None

    def attach_source(self, source: MessageSource) -> None:
        """Remember where the message came from. Takes no part in equality or serialisation."""
        private = self.__pydantic_private__
        assert private is not None  # pydantic makes it for every model with private attributes
        private["_source"] = source
        private["_source_state"] = self._state()

    def _state(self) -> tuple[object, ...]:
        author = self.author
        parts = [part.text if type(part) is TextContent else part for part in self.content]
        return (author.role, author.name, self.channel, self.recipient, self.content_type, *parts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return type(self) is type(other) and self.__dict__ == other.__dict__

    # -- serialising ---------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The flat form: role and name beside the content, absent fields left out."""
        optional = {
            "channel": self.channel,
            "recipient": self.recipient,
            "content_type": self.content_type,
        }
        return {
            **self.author.model_dump(),
            "content": [part.to_dict() for part in self.content],
            **{key: value for key, value in optional.items() if value is not None},
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The message whose `to_dict` is `data`; content may be a plain string, unknown keys are ignored."""
        author = Author(role=Role(data["role"]), name=data.get("name"))
        content = data["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        elif content is None:
            raise TypeError("content: expected text or a list of parts, found None")
        return cls(
            author=author,
            content=[_content_from_dict(part) for part in content],
            channel=data.get("channel"),
            recipient=data.get("recipient"),
            content_type=data.get("content_type"),
        )


class Conversation(BaseModel):
    """Messages in a row. Iterating over a conversation gives them."""

    messages: list[Message] = Field(default_factory=list)

    @classmethod
    def from_messages(cls, messages: Sequence[Message]) -> Self:
        return cls(messages=list(messages))

    def __iter__(self) -> Iterator[Message]:  # type: ignore[override]
        return iter(self.messages)

    def to_dict(self) -> dict[str, Any]:
        return {"messages": [message.to_dict() for message in self.messages]}

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The conversation whose `to_dict` is `data`."""
        return cls(messages=[Message.from_dict(message) for message in data["messages"]])

    @classmethod
    def from_json(cls, payload: str) -> Self:
        return cls.from_dict(json.loads(payload))


_CONTENT_TYPES: dict[str, type[TextContent | SystemContent | DeveloperContent]] = {
    "text": TextContent,
    "system_content": SystemContent,
    "developer_content": DeveloperContent,
}


def _content_from_dict(raw: Mapping[str, Any]) -> AnyContent:
    kind = _CONTENT_TYPES.get(raw.get("type", ""))
    if kind is None:
        raise ValueError(f"Unknown content variant: {raw}")
    return kind(**raw)


def _as_content(content: str | Content) -> Any:
    return TextContent(text=content) if isinstance(content, str) else content


def names_tool(recipient: str | None) -> bool:
    """Whether a recipient is a tool: neither everyone nor a role."""
    return bool(recipient) and recipient != EVERYONE and recipient not in _ROLE_NAMES


_ROLE_NAMES = frozenset(role.value for role in Role)
