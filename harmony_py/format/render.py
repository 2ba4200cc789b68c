"""Conversations as tokens: what is left out, what ends them, and what each token is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from harmony_py.chat import Conversation, Message, Role
from harmony_py.errors import RenderError
from harmony_py.format.retention import FINAL, dropped
from harmony_py.format.templates import defines_functions
from harmony_py.tokenizer.special import END, RETURN

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from harmony_py.format.cache import Entry
    from harmony_py.format.config import RenderConfig
    from harmony_py.format.message import MessageRenderer

Part = Literal["header", "content", "terminator"]


class RenderedSpan(NamedTuple):
    """A run of tokens: which part of which message."""

    start: int
    end: int
    """Exclusive."""
    message: int | None
    """Index in the conversation; None for the header that the model is to continue."""
    part: Part
    role: Role
    channel: str | None


class Rendered(NamedTuple):
    tokens: list[int]
    spans: list[RenderedSpan]
    """What each token is. Together they are exactly the tokens."""
    loss_mask: list[bool]
    """True where the assistant sampled the token: in its messages everything but the `<|start|>assistant`
    that a prompt ends with. Where one of its messages follows another that ended in `<|end|>`, it sampled
    that too."""


class Kept(NamedTuple):
    """The messages that are written down: their indices, they themselves, their entries."""

    indices: Sequence[int]
    messages: Sequence[Message]
    entries: list[Entry]


class Renderer:
    """Renders conversations one way."""

    def __init__(self, messages: MessageRenderer, config: RenderConfig) -> None:
        self._messages = messages
        self._config = config
        self.prompts = messages.prompts

    def message(self, message: Message, has_function_tools: bool) -> list[int]:
        """The tokens of one message on its own."""
        entries = self._messages.entries(_checked([message]), [None], has_function_tools)
        return self._joined(Kept([0], [message], entries), None, training=False)

    def conversation(
        self, conversation: Conversation | Sequence[Message], next_role: Role | None, training: bool
    ) -> list[int]:
        """The tokens of a conversation, and with `next_role` the beginning of that role's message."""
        return self._joined(self.kept(conversation), next_role, training)

    def detailed(
        self,
        conversation: Conversation | Sequence[Message],
        next_role: Role | None,
        training: bool,
        loss_channels: Collection[str | None] | None,
    ) -> Rendered:
        """The same, and what each token is. Without `loss_channels` the loss is on every channel."""
        kept = self.kept(conversation)
        tokens = self._joined(kept, next_role, training)
        spans: list[RenderedSpan] = []
        mask: list[bool] = []
        continues = False
        for index, message, entry in zip(*kept, strict=True):
            spans += _spans(index, message, entry, len(mask))
            is_assistant = message.author.role == Role.ASSISTANT
            is_trained = is_assistant and (loss_channels is None or message.channel in loss_channels)
            given = 0 if continues else entry.prompt_end
            mask += [False] * given + [is_trained] * (len(entry.tokens) - given)
            continues = is_assistant and entry.tokens[-1] == END
        if next_role is not None:
            spans.append(RenderedSpan(len(mask), len(tokens), None, "header", Role(next_role), None))
            mask += [False] * (len(tokens) - len(mask))
        return Rendered(tokens, spans, mask)

    def kept(self, conversation: Conversation | Sequence[Message]) -> Kept:
        """The messages that the policy keeps, and their entries."""
        messages = _checked(conversation)
        gone = frozenset(dropped(messages, self._config.analysis))
        if not gone:
            indices: Sequence[int] = range(len(messages))
            return Kept(indices, messages, self._messages.entries(messages, indices))
        indices = [index for index in range(len(messages)) if index not in gone]
        kept = [messages[index] for index in indices]
        # What is left out still counts here: the tools it defines may be called.
        tools_gone = any(defines_functions(message) for i, message in enumerate(messages) if i in gone)
        return Kept(indices, kept, self._messages.entries(kept, indices, tools_gone))

    def _joined(self, kept: Kept, next_role: Role | None, training: bool) -> list[int]:
        tokens: list[int] = []
        for entry in kept.entries:
            tokens += entry.tokens
        if next_role is not None:
            tokens += self.prompts[Role(next_role)]
        elif kept.messages and self._returns(kept.messages[-1], tokens[-1], training):
            tokens[-1] = RETURN
        return tokens

    def _returns(self, last: Message, terminator: int, training: bool) -> bool:
        """Whether the conversation ends with `<|return|>`: in training, or because it was parsed so."""
        if not training:
            source = None if self._config.canonicalize else last.source
            return source is not None and source.terminator == RETURN and terminator == END
        is_final = last.author.role == Role.ASSISTANT and last.channel == FINAL
        return is_final and (terminator == END or self._config.quirks)


def _checked(conversation: Conversation | Sequence[Message]) -> list[Message]:
    messages = conversation.messages if isinstance(conversation, Conversation) else list(conversation)
    if not {Message}.issuperset(map(type, messages)):
        for index, message in enumerate(messages):
            if not isinstance(message, Message):
                raise RenderError(f"expected a Message, not {type(message).__name__}", index, "type")
    return messages


def _spans(index: int, message: Message, entry: Entry, start: int) -> list[RenderedSpan]:
    bounds: list[tuple[Part, int, int]] = [
        ("header", 0, entry.header_end),
        ("content", entry.header_end, entry.content_end),
        ("terminator", entry.content_end, len(entry.tokens)),
    ]
    role, channel = message.author.role, message.channel
    return [
        RenderedSpan(start + begin, start + end, index, part, role, channel)
        for part, begin, end in bounds
        if begin < end
    ]
