"""`HarmonyEncoding`: the one object most people hold."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from harmony_py.chat import Role
from harmony_py.format.config import RenderConfig
from harmony_py.format.message import MessageRenderer
from harmony_py.format.parse import ParseResult, PolicyName, StreamableParser, parse
from harmony_py.format.render import Rendered, Renderer
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import ASSISTANT_ACTION_STOP_TOKENS, STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from harmony_py.chat import Conversation, Message

NAME = "HarmonyGptOss"
"""The encoding's name, which is `openai-harmony`'s."""

CACHE_TOKENS = 500_000
"""Tokens that each way of rendering may remember: some 20 MB."""


_MOST_RENDERERS = 16


class HarmonyEncoding:
    """Conversations to tokens and back. Shared freely between threads.

    Conversations may be given as `Conversation` or as a sequence of messages. Every method that renders takes
    a `RenderConfig`; without one it uses the encoding's own.
    """

    name = NAME

    def __init__(
        self,
        tokenizer: Tokenizer | None = None,
        config: RenderConfig | None = None,
        *,
        cache_tokens: int = CACHE_TOKENS,
    ) -> None:
        self.tokenizer = tokenizer or Tokenizer.o200k_harmony()
        self.config = config or RenderConfig()
        self._cache_tokens = cache_tokens
        self._styles: dict[RenderConfig, MessageRenderer] = {}
        self._renderers: dict[RenderConfig, Renderer] = {}

    # -- rendering -----------------------------------------------------------------------------------------

    def render(
        self,
        message: Message,
        *,
        conversation_has_function_tools: bool = False,
        config: RenderConfig | None = None,
    ) -> list[int]:
        """One message. A conversation is its messages, one after the other, but for what a system message
        says of function tools: that it takes from the conversation."""
        return self.renderer(config).message(message, conversation_has_function_tools)

    def render_conversation(
        self, conversation: Conversation | Sequence[Message], config: RenderConfig | None = None
    ) -> list[int]:
        """All messages but the old thoughts that the configuration leaves out."""
        return self.renderer(config).conversation(conversation, None, training=False)

    def render_conversation_for_completion(
        self,
        conversation: Conversation | Sequence[Message],
        next_turn_role: Role = Role.ASSISTANT,
        config: RenderConfig | None = None,
    ) -> list[int]:
        """The prompt for the next message: the conversation and the beginning of a header."""
        return self.renderer(config).conversation(conversation, next_turn_role, training=False)

    def render_conversation_for_training(
        self, conversation: Conversation | Sequence[Message], config: RenderConfig | None = None
    ) -> list[int]:
        """A training sample. The last turn keeps its thoughts; an answer at the end ends in `<|return|>`."""
        return self.renderer(config).conversation(conversation, None, training=True)

    def render_detailed(
        self,
        conversation: Conversation | Sequence[Message],
        *,
        next_turn_role: Role | None = None,
        training: bool = False,
        loss_channels: Collection[str | None] | None = None,
        config: RenderConfig | None = None,
    ) -> Rendered:
        """Tokens, what each of them is, and which of them the assistant sampled.

        `loss_channels` limits the loss to messages on these channels; None among them: on no channel.
        """
        if isinstance(loss_channels, str):
            loss_channels = [loss_channels]  # as a collection of letters it would hold no channel
        return self.renderer(config).detailed(conversation, next_turn_role, training, loss_channels)

    def renderer(self, config: RenderConfig | None = None) -> Renderer:
        """What renders the way `config` says."""
        config = self.config if config is None else config
        if not isinstance(config, RenderConfig):
            raise TypeError(f"config: expected a RenderConfig, found {config!r}")
        renderer = self._renderers.get(config)
        if renderer is None:
            # Policies come and go, being functions at times: messages are remembered without regard to them.
            style = dataclasses.replace(config, analysis="never")
            if style not in self._styles:
                self._styles[style] = MessageRenderer(self.tokenizer, style, self._cache_tokens)
            if len(self._renderers) >= _MOST_RENDERERS:
                self._renderers.clear()
            renderer = self._renderers[config] = Renderer(self._styles[style], config)
        return renderer

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what was rendered: a copy begins with nothing remembered."""
        return {**self.__dict__, "_styles": {}, "_renderers": {}}

    # -- parsing -------------------------------------------------------------------------------------------

    def parse(
        self,
        tokens: Iterable[int],
        role: Role | str | None = None,
        *,
        policy: PolicyName = "strict",
        tools: Iterable[str] | None = None,
    ) -> ParseResult:
        """The messages in `tokens`; see `harmony_py.format.parse.parse`."""
        return parse(tokens, role, policy=policy, tools=tools)

    def parse_messages_from_completion_tokens(
        self, tokens: Iterable[int], role: Role | str | None = None, *, strict: bool = True
    ) -> list[Message]:
        """The messages alone."""
        return parse(tokens, role, policy="strict" if strict else "recover").messages

    def parser(self, role: Role | str | None = Role.ASSISTANT, **options: Any) -> StreamableParser:
        """A parser for tokens that come one at a time."""
        return StreamableParser(self, role, **options)

    # -- text ----------------------------------------------------------------------------------------------

    def encode(self, text: str, **special: Any) -> list[int]:
        """`Tokenizer.encode`."""
        return self.tokenizer.encode(text, **special)

    def decode(self, tokens: Sequence[int], errors: str = "replace") -> str:
        """`Tokenizer.decode`."""
        return self.tokenizer.decode(tokens, errors)

    def is_special_token(self, token: int) -> bool:
        return self.tokenizer.is_special_token(token)

    @property
    def special_tokens_set(self) -> set[str]:
        return self.tokenizer.special_tokens_set

    def stop_tokens(self) -> list[int]:
        """The ids that end a message."""
        return sorted(STOP_TOKENS)

    def stop_tokens_for_assistant_actions(self) -> list[int]:
        """The ids that end the assistant's turn: what to give an engine as stop tokens."""
        return sorted(ASSISTANT_ACTION_STOP_TOKENS)


def load_harmony_encoding(name: str = NAME) -> HarmonyEncoding:
    """The process's one encoding with the default configuration; it has one name, upstream's."""
    if str(name) != NAME:
        raise ValueError(f"Invalid HarmonyEncodingName: {name}")
    return _shared()


@functools.cache
def _shared() -> HarmonyEncoding:
    return HarmonyEncoding()
