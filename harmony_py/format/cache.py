"""Rendered messages, remembered by what they say."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from harmony_py.chat import SystemContent, TextContent

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from harmony_py.chat import Message, ToolNamespaceConfig

Key: TypeAlias = "tuple[Hashable, ...]"


class Entry(NamedTuple):
    """One message as tokens, and where its parts end. Never to be changed: it is handed out many times."""

    tokens: list[int]
    prompt_end: int
    """After `<|start|>` and the author: what a prompt holds before the model goes on."""
    header_end: int
    content_end: int


class Cache:
    """Entries by key, the least recently used forgotten once they hold too many tokens.

    Two generations: an entry moves to the young one when it is used, and when that is full the old one goes.
    A look-up costs one dictionary access, and nothing is ever searched.
    """

    def __init__(self, max_tokens: int) -> None:
        self._half = max_tokens // 2
        self._young: dict[Key | None, Entry] = {}
        self._old: dict[Key | None, Entry] = {}
        self._size = 0

    def get(self, key: Key | None) -> Entry | None:
        entry = self._young.get(key)
        if entry is None and key is not None and (entry := self._old.get(key)) is not None:
            self.put(key, entry)
        return entry

    def get_recent(self, keys: list[Key | None]) -> list[Entry | None]:
        """The entries of the young generation, where most renders find almost everything, in one go."""
        try:
            return list(map(self._young.get, keys))
        except TypeError:  # a field that no message may have made a key that has no hash
            return [None] * len(keys)

    def put(self, key: Key | None, entry: Entry) -> None:
        size = len(entry.tokens)
        if key is None or size > self._half:
            return
        if self._size + size > self._half:
            self._old, self._young, self._size = self._young, {}, 0
        self._young[key] = entry
        self._size += size

    def held(self) -> int:
        """Tokens held, at most the maximum."""
        entries = {**self._old, **self._young}
        return sum(len(entry.tokens) for entry in entries.values())


def text_key(message: Message) -> Key | None:
    """What a message of text says; None if it holds anything else, or what cannot be rendered."""
    try:
        author, content = message.author, message.content
        if len(content) == 1 and type(content[0]) is TextContent:
            body: Hashable = content[0].text
        elif all(type(part) is TextContent for part in content):
            body = tuple([part.text for part in content])  # type: ignore[union-attr]
        else:
            return None
        return (author.role, author.name, message.channel, message.recipient, message.content_type, body)
    except (AttributeError, TypeError):
        return None


def settings_key(message: Message, has_function_tools: bool) -> Key | None:
    """The same for a message that may hold settings; None if they cannot be compared reliably."""
    try:
        author = message.author
        parts = tuple([_part_key(part, has_function_tools) for part in message.content])
        return (author.role, author.name, message.channel, message.recipient, message.content_type, parts)
    except (AttributeError, TypeError, ValueError):
        return None


def hashable(key: Key | None) -> Key | None:
    """`key`, unless a field that no message may have got into it."""
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _part_key(part: Any, has_function_tools: bool) -> Hashable:
    if type(part) is TextContent:
        return part.text
    tools = _tools_key(part.tools)
    if type(part) is SystemContent:
        channels = part.channel_config
        return (
            part.model_identity,
            part.reasoning_effort,
            part.conversation_start_date,
            part.knowledge_cutoff,
            channels and (tuple(channels.valid_channels), channels.channel_required),
            tools,
            has_function_tools,
        )
    formats = [
        (wanted.name, wanted.description, _exact(wanted.json_schema))
        for wanted in part.response_formats or ()
    ]
    return (part.instructions, tools, tuple(formats))


def _tools_key(namespaces: Mapping[str, ToolNamespaceConfig] | None) -> Hashable:
    if not namespaces:
        return None
    return tuple(
        (
            key,
            namespace.name,
            namespace.description,
            tuple([(tool.name, tool.description, _exact(tool.parameters)) for tool in namespace.tools]),
        )
        for key, namespace in namespaces.items()
    )


_COMPARABLE: Final = 2
"""A version of marshal's format that writes equal values alike, whether or not they are one object."""


def _exact(schema: Any) -> bytes:
    """Bytes that differ where `schema` does: comparing would not tell 1 from True, nor one order of keys
    from another. `ValueError` for what is no plain JSON."""
    return marshal.dumps(schema, _COMPARABLE)
