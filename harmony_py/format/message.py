"""Messages as tokens: segments first, then one call into the tokenizer for all messages that are new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.chat import DeveloperContent, Role, SystemContent, TextContent
from harmony_py.chat.messages import EVERYONE
from harmony_py.errors import RenderError
from harmony_py.format.cache import Cache, Entry, hashable, settings_key, text_key
from harmony_py.format.header import write
from harmony_py.format.templates import defines_functions, developer_text, system_text
from harmony_py.format.validate import Guard
from harmony_py.tokenizer.special import (
    CALL,
    CHANNEL,
    CONSTRAIN,
    END,
    MESSAGE,
    RETURN,
    START,
    START_OF_TEXT,
    STOP_TOKENS,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.chat import Message
    from harmony_py.format.cache import Key
    from harmony_py.format.config import RenderConfig
    from harmony_py.tokenizer import Segment, Tokenizer

_PROMPT_LENGTH: Final = 2
"""`<|start|>` and a role, which is one token whatever the role."""

_HEAD: Final = 5
"""The fields at the front of a key that make the header."""

_MOST_HEADS: Final = 1024


class _Head(NamedTuple):
    """What a header makes of a message. A conversation has few different ones."""

    role: Role
    segments: list[Segment]
    terminator: int


class _Draft(NamedTuple):
    """A message still to be encoded: where its entry belongs, what it says, and its segments."""

    position: int
    key: Key | None
    head: _Head
    content: list[Segment]


class MessageRenderer:
    """Renders messages one way, and remembers them by what they say."""

    def __init__(self, tokenizer: Tokenizer, config: RenderConfig, cache_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._config = config
        self._cache = Cache(cache_tokens)
        self._heads: dict[Key, _Head] = {}
        self.prompts = {role: [START, *tokenizer.encode_ordinary(role.value)] for role in Role}
        """The beginning of a message of each role."""

    def entries(
        self, messages: Sequence[Message], places: Sequence[int | None], has_function_tools: bool = False
    ) -> list[Entry]:
        """The entry of each message; `places` are their indices in the conversation, for errors.

        `has_function_tools` says that there are such tools even if none of these messages defines one.
        """
        keys = [text_key(message) for message in messages]
        known = self._known(messages, keys)
        missing = [position for position, entry in enumerate(known) if entry is None]
        has_function_tools = has_function_tools or any(defines_functions(messages[i]) for i in missing)
        guard = Guard(self._config.on_invalid, as_upstream=self._config.quirks)
        drafts = []
        for position in missing:
            message = messages[position]
            key = hashable(keys[position] or settings_key(message, has_function_tools))
            known[position] = self._cache.get(key)
            if known[position] is None:
                guard.index = places[position]
                drafts.append(self._draft(position, key, message, guard, has_function_tools))
        for draft, entry in zip(drafts, self._encoded(drafts), strict=True):
            self._cache.put(draft.key, entry)
            known[draft.position] = entry
        return known  # type: ignore[return-value]  # every gap is filled

    def _known(self, messages: Sequence[Message], keys: list[Key | None]) -> list[Entry | None]:
        """The entries of parsed messages, and of messages of text that were rendered of late."""
        known = self._cache.get_recent(keys)
        if not self._config.canonicalize:
            for position, message in enumerate(messages):
                if message.has_source and (entry := _from_source(message)):
                    known[position] = entry
        return known

    # -- new messages --------------------------------------------------------------------------------------

    def _draft(
        self, position: int, key: Key | None, message: Message, guard: Guard, has_function_tools: bool
    ) -> _Draft:
        head = self._heads.get(key[:_HEAD]) if key else None
        if head is None:
            head = self._head(message, guard)
            if key:
                if len(self._heads) >= _MOST_HEADS:
                    self._heads.clear()
                self._heads[key[:_HEAD]] = head
        content: list[Segment] = []
        for place, part in enumerate(message.content):
            if isinstance(part, TextContent):
                content.append(guard.text(part.text, f"content[{place}].text"))
            else:
                field = f"content[{place}]"
                text = self._settings_text(part, head.role, guard, field, has_function_tools)
                content.append(guard.text(text, field))
        return _Draft(position, key, head, content)

    def _head(self, message: Message, guard: Guard) -> _Head:
        header = guard.header(message, self._config.header_style)
        if not isinstance(message.content, list):
            guard.refuse(f"expected a list, not {type(message.content).__name__}", "content")
        addressed = message.recipient if self._config.quirks else header.recipient
        is_call = header.role is Role.ASSISTANT and addressed is not None
        return _Head(header.role, write(header), CALL if is_call else END)

    def _settings_text(
        self, part: Any, role: Role, guard: Guard, field: str, has_function_tools: bool
    ) -> str:
        style = self._config.schema_style
        if not isinstance(part, SystemContent | DeveloperContent):
            guard.refuse(f"expected text or settings, not {type(part).__name__}", field)
        try:
            if isinstance(part, SystemContent):
                return system_text(guard.settings(part, role), style, has_function_tools)
            return developer_text(guard.settings(part, role), style)
        except RenderError:
            raise
        except (AttributeError, TypeError, ValueError) as error:  # a field that was assigned a wrong type
            guard.refuse(str(error), field)

    def _encoded(self, drafts: list[_Draft]) -> list[Entry]:
        segments: list[Segment] = []
        for draft in drafts:
            segments += draft.head.segments
            segments += draft.content
            segments.append(draft.head.terminator)
        tokens, ends = self._tokenizer.encode_segments(segments)
        entries = []
        start = first = 0
        for draft in drafts:
            content = first + len(draft.head.segments)
            last = content + len(draft.content)
            end = ends[last]
            prompt_end, header_end = ends[first + 1] - start, ends[content - 1] - start
            entries.append(Entry(tokens[start:end], prompt_end, header_end, end - start - 1))
            start, first = end, last + 1
        return entries


def _from_source(message: Message) -> Entry | None:
    """The entry made of the ids that a message was parsed from, if it is unchanged and they are in order."""
    source = message.source
    if source is None or source.tokens.count(MESSAGE) != 1 or source.tokens[0] != START:
        return None
    tokens = list(source.tokens)
    end_in_prompt(tokens, message)
    header_end = tokens.index(MESSAGE) + 1
    controls = [token for token in tokens[1 : header_end - 1] if token >= START_OF_TEXT]
    content = tokens[header_end:-1]
    if sorted(controls) not in _HEADER_CONTROLS or max(content, default=0) >= START_OF_TEXT:
        return None
    return Entry(tokens, _PROMPT_LENGTH, header_end, len(tokens) - 1)


_HEADER_CONTROLS: Final[tuple[list[int], ...]] = ([], [CHANNEL], [CONSTRAIN], [CONSTRAIN, CHANNEL])
"""The control tokens that a header may hold, in the order of their ids."""


def end_in_prompt(tokens: list[int], message: Message) -> None:
    """End a parsed message's tokens as they must when others follow: by a terminator, not `<|return|>`."""
    if tokens[-1] == RETURN:
        tokens[-1] = END
    elif tokens[-1] not in STOP_TOKENS:
        is_call = message.author.role == Role.ASSISTANT and message.recipient not in (None, EVERYONE)
        tokens.append(CALL if is_call else END)
