"""`openai-harmony`, or `oss-harmony`, which has the same import name."""

from __future__ import annotations

import os
import tempfile
from importlib import metadata
from typing import TYPE_CHECKING, Any

from harmony_py.testing.extras import require
from harmony_py.testing.implementation import FlatMessage, Implementation, RefusedError, TokenStream
from harmony_py.tokenizer import vocab

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTORY_VARIABLE = "TIKTOKEN_ENCODINGS_BASE"


def load() -> Implementation:
    library = require("openai_harmony", "the adapter openai_harmony")
    if _DIRECTORY_VARIABLE in os.environ:
        return OpenAIHarmony(library, library.load_harmony_encoding("HarmonyGptOss"))
    # It would download its vocabulary. Ours is the same file, and it is read once.
    with tempfile.TemporaryDirectory(prefix="harmony-vocabulary-") as directory:
        vocab.export(directory)
        os.environ[_DIRECTORY_VARIABLE] = directory
        try:
            return OpenAIHarmony(library, library.load_harmony_encoding("HarmonyGptOss"))
        finally:
            del os.environ[_DIRECTORY_VARIABLE]


class OpenAIHarmony(Implementation):
    """Its defaults throughout, as its documentation tells an app to use it."""

    def __init__(self, library: Any, encoding: Any) -> None:
        self._library = library
        self._encoding = encoding
        self.name, self.version = _distribution()

    def encode(self, text: str) -> list[int]:
        return list(self._encoding.encode(text, disallowed_special=()))

    def decode(self, tokens: list[int]) -> str:
        return str(self._encoding.decode(tokens))

    def render(
        self, conversation: list[FlatMessage], *, next_role: str | None = None, training: bool = False
    ) -> list[int]:
        whole = self._conversation(conversation)
        try:
            if training:
                return list(self._encoding.render_conversation_for_training(whole))
            if next_role is None:
                return list(self._encoding.render_conversation(whole))
            role = self._library.Role(next_role)
            return list(self._encoding.render_conversation_for_completion(whole, role))
        except RuntimeError as error:  # not always its own error, which is one
            raise RefusedError(str(error)) from error

    def _conversation(self, conversation: list[FlatMessage]) -> Any:
        messages = [self._library.Message.from_dict(message) for message in conversation]
        return self._library.Conversation.from_messages(messages)

    def parse(self, tokens: list[int], role: str | None) -> Any:
        return self._parse(tokens, role, strict=True)

    def recover(self, tokens: list[int], role: str | None, tools: Sequence[str] = ()) -> Any:
        return self._parse(tokens, role, strict=False)

    def _parse(self, tokens: list[int], role: str | None, *, strict: bool) -> Any:
        read = self._encoding.parse_messages_from_completion_tokens
        try:
            return read(tokens, role and self._library.Role(role), strict=strict)
        except self._library.HarmonyError as error:
            raise RefusedError(str(error)) from error
        except OverflowError as error:  # an id that is no unsigned integer of 32 bits
            raise RefusedError(str(error)) from error

    def stream(self, role: str | None, *, recovers: bool = False) -> TokenStream:
        given = role and self._library.Role(role)
        parser = self._library.StreamableParser(self._encoding, given, strict=not recovers)
        return PolledStream(parser, self._library.HarmonyError)

    def rerender(self, tokens: list[int], role: str | None) -> list[int]:
        messages = self._parse(tokens, role, strict=True)
        whole = self._library.Conversation.from_messages(messages)
        config = self._library.RenderConversationConfig(auto_drop_analysis=False)
        return list(self._encoding.render_conversation(whole, config))

    def reload(self, conversation: list[FlatMessage]) -> list[FlatMessage]:
        kind = self._library.Message
        messages = list(self._conversation(conversation))
        messages = [kind.from_dict(message.to_dict()) for message in messages]
        dumped = [kind.model_validate_json(message.model_dump_json()) for message in messages]
        return [_flat(message) for message in dumped]


def _flat(message: Any) -> FlatMessage:
    """`to_dict`, for contents too that have lost their kind."""
    parts = [{"type": "text", "text": getattr(part, "text", "")} for part in message.content]
    optional = {key: getattr(message, key) for key in ("channel", "recipient", "content_type")}
    fields = {"role": message.author.role.value, "name": message.author.name, **optional}
    return {**{key: value for key, value in fields.items() if value is not None}, "content": parts}


class PolledStream(TokenStream):
    """`StreamableParser.process` a token at a time, and its `last_content_delta`."""

    def __init__(self, parser: Any, error: type[Exception]) -> None:
        self._parser = parser
        self._error = error

    def feed(self, tokens: Sequence[int]) -> str:
        text = ""
        try:
            for token in tokens:
                self._parser.process(token)
                text += self._parser.last_content_delta or ""
        except self._error as error:
            raise RefusedError(str(error)) from error
        return text

    def finish(self) -> str:
        try:
            self._parser.process_eos()
        except self._error as error:
            raise RefusedError(str(error)) from error
        return self._parser.last_content_delta or ""

    def messages(self) -> Any:
        return self._parser.messages


def _distribution() -> tuple[str, str]:
    """The name and version of the package that the import name stands for."""
    names = metadata.packages_distributions().get("openai_harmony", ["openai-harmony"])
    return names[0], metadata.version(names[0])
