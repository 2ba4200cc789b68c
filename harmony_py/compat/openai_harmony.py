"""The names of `openai-harmony` 0.0.8, with its signatures, its tokens and its errors.

Where this differs from the original on purpose is listed in `DIFFERENCES.md`, one test each.
"""

from __future__ import annotations

import dataclasses
import functools
from enum import Enum
from typing import TYPE_CHECKING, Literal, NoReturn

from pydantic import BaseModel

from harmony_py.chat import (
    Author,
    ChannelConfig,
    Content,
    Conversation,
    DeveloperContent,
    Message,
    ReasoningEffort,
    Role,
    SystemContent,
    TextContent,
    ToolDescription,
    ToolNamespaceConfig,
)
from harmony_py.errors import HarmonyError
from harmony_py.format import encoding as native
from harmony_py.format.config import UPSTREAM, RenderConfig
from harmony_py.format.grammar import StreamState
from harmony_py.format.parse import StreamableParser
from harmony_py.tokenizer.special import END_OF_PROMPT_NAME, SPECIAL_TOKENS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet

__all__ = [
    "Author",
    "ChannelConfig",
    "Content",
    "Conversation",
    "DeveloperContent",
    "HarmonyEncoding",
    "HarmonyEncodingName",
    "HarmonyError",
    "Message",
    "ReasoningEffort",
    "RenderConversationConfig",
    "RenderOptions",
    "Role",
    "StreamState",
    "StreamableParser",
    "SystemContent",
    "TextContent",
    "ToolDescription",
    "ToolNamespaceConfig",
    "load_harmony_encoding",
    "raise_disallowed_special_token",
]

_KEEPING_ANALYSIS = dataclasses.replace(UPSTREAM, analysis="never")


class HarmonyEncodingName(str, Enum):
    HARMONY_GPT_OSS = "HarmonyGptOss"

    def __str__(self) -> str:
        return self.value


class RenderConversationConfig(BaseModel):
    auto_drop_analysis: bool = True


class RenderOptions(BaseModel):
    conversation_has_function_tools: bool = False


class HarmonyEncoding:
    """`openai_harmony.HarmonyEncoding`; `native` is what more there is."""

    def __init__(self, inner: native.HarmonyEncoding | None = None) -> None:
        self.native = inner or native.load_harmony_encoding()

    @property
    def name(self) -> str:
        return self.native.name

    @functools.cached_property
    def special_tokens_set(self) -> set[str]:
        return set(SPECIAL_TOKENS) - {END_OF_PROMPT_NAME}

    # -- rendering and parsing -----------------------------------------------------------------------------

    def render_conversation_for_completion(
        self,
        conversation: Conversation,
        next_turn_role: Role,
        config: RenderConversationConfig | None = None,
    ) -> list[int]:
        """The prompt for a message of `next_turn_role`."""
        return self.native.render_conversation_for_completion(conversation, next_turn_role, _native(config))

    def render_conversation(
        self, conversation: Conversation, config: RenderConversationConfig | None = None
    ) -> list[int]:
        """The conversation, and no header to continue."""
        return self.native.render_conversation(conversation, _native(config))

    def render_conversation_for_training(
        self, conversation: Conversation, config: RenderConversationConfig | None = None
    ) -> list[int]:
        """The conversation as a training sample, analysis dropped as everywhere unless `config` keeps it."""
        return self.native.render_conversation_for_training(conversation, _native(config))

    def render(self, message: Message, render_options: RenderOptions | None = None) -> list[int]:
        """One message."""
        has_tools = render_options is not None and render_options.conversation_has_function_tools
        return self.native.render(message, conversation_has_function_tools=has_tools, config=UPSTREAM)

    def parse_messages_from_completion_tokens(
        self, tokens: Sequence[int], role: Role | None = None, *, strict: bool = True
    ) -> list[Message]:
        """The messages in what a model answered to a prompt for `role`."""
        return self.native.parse_messages_from_completion_tokens(tokens, role, strict=strict)

    # -- text ----------------------------------------------------------------------------------------------

    def encode(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> list[int]:
        """Tokens of `text`; control tokens that it spells count as such where allowed, raise where not."""
        names = self.special_tokens_set
        allowed = names if allowed_special == "all" else names.intersection(allowed_special)
        disallowed = names - allowed if disallowed_special == "all" else disallowed_special
        return self.native.encode(text, allowed_special=allowed, disallowed_special=disallowed)

    def decode(self, tokens: Sequence[int], errors: str = "replace") -> str:
        """Text of `tokens`."""
        return self._bytes(tokens).decode("utf-8", errors)

    def decode_utf8(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, which must be UTF-8."""
        try:
            return self._bytes(tokens).decode("utf-8")
        except UnicodeDecodeError as error:
            raise HarmonyError(f"Could not decode tokens: Invalid utf-8 sequence: {error}") from None
        except HarmonyError as error:
            raise HarmonyError(f"Could not decode tokens: Invalid token error: {error}") from None

    def _bytes(self, tokens: Sequence[int]) -> bytes:
        try:
            return self.native.tokenizer.decode_bytes(list(tokens))
        except KeyError as error:
            raise HarmonyError(error.args[0]) from None

    def is_special_token(self, token: int) -> bool:
        if not 0 <= token < 2**32:
            raise OverflowError(f"{token} is no token id: it does not fit 32 bits without a sign")
        return self.native.is_special_token(token)

    def stop_tokens(self) -> list[int]:
        return self.native.stop_tokens()

    def stop_tokens_for_assistant_actions(self) -> list[int]:
        return self.native.stop_tokens_for_assistant_actions()


@functools.cache
def _encoding(name: str) -> HarmonyEncoding:
    return HarmonyEncoding(native.load_harmony_encoding(name))


def load_harmony_encoding(name: str | HarmonyEncodingName) -> HarmonyEncoding:
    """The encoding called `name`; the same object every time."""
    return _encoding(str(name))


def raise_disallowed_special_token(token: str) -> NoReturn:
    """Raise what `encode` raises for text that spells a control token."""
    raise HarmonyError(
        f"Encountered text corresponding to disallowed special token {token!r}.\n"
        "Name it in `allowed_special` if it is meant as a control token, or leave it out of "
        "`disallowed_special` if it is text."
    )


def _native(config: RenderConversationConfig | None) -> RenderConfig:
    return UPSTREAM if config is None or config.auto_drop_analysis else _KEEPING_ANALYSIS
