"""This package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmony_py.chat import Conversation, Message, Role
from harmony_py.chat.arguments import parse_arguments
from harmony_py.errors import ArgumentsError, ParseError, RenderError
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import HarmonyEncoding
from harmony_py.format.events import ContentDelta
from harmony_py.format.parse import StreamableParser, parse
from harmony_py.format.text import parse_text
from harmony_py.testing.implementation import (
    Fields,
    FlatMessage,
    Implementation,
    Reading,
    RefusedError,
    TokenStream,
)
from harmony_py.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harmony_py.format.events import Event
    from harmony_py.format.parse import ParseResult


def load() -> Implementation:
    return HarmonyPy()


class HarmonyPy(Implementation):
    """The native interface. What the drop-in does differently is tested by comparing it with the original."""

    name = "harmony_py"
    knows_tools = True

    def __init__(self) -> None:
        self.version = __version__
        self._encoding = HarmonyEncoding()
        self._exact = RenderConfig(analysis="never")

    def encode(self, text: str) -> list[int]:
        return self._encoding.tokenizer.encode_ordinary(text)

    def decode(self, tokens: list[int]) -> str:
        return self._encoding.decode(tokens)

    def render(
        self, conversation: list[FlatMessage], *, next_role: str | None = None, training: bool = False
    ) -> list[int]:
        messages = [Message.from_dict(message) for message in conversation]
        try:
            if training:
                return self._encoding.render_conversation_for_training(messages)
            if next_role is None:
                return self._encoding.render_conversation(messages)
            return self._encoding.render_conversation_for_completion(messages, Role(next_role))
        except RenderError as error:
            raise RefusedError(str(error)) from error

    def parse(self, tokens: list[int], role: str | None) -> Reading:
        try:
            return self._reading(parse(tokens, role))
        except ParseError as error:
            raise RefusedError(str(error)) from error
        except OverflowError as error:  # ids that no vocabulary has: the strict parser says so
            raise RefusedError(str(error)) from error

    def recover(self, tokens: list[int], role: str | None, tools: Sequence[str] = ()) -> Reading:
        return self._reading(parse(tokens, role, policy="recover", tools=tools))

    def _reading(self, result: ParseResult) -> Reading:
        """What a parse found, in the tuples of the harness."""
        return Reading(
            [Fields.of(message) for message in result.messages],
            [(span.start, span.end, span.part, span.message) for span in result.spans],
            [(each.code, each.token_index, each.span) for each in result.diagnostics],
        )

    def stream(self, role: str | None, *, recovers: bool = False) -> TokenStream:
        return EventStream(StreamableParser(None, role, strict=not recovers))

    def resume(self, prompt: list[int], tokens: list[int]) -> list[Message]:
        parser = StreamableParser.from_prompt(None, prompt)
        parser.feed(tokens)
        parser.finish()
        return parser.messages

    def rerender(self, tokens: list[int], role: str | None) -> list[int]:
        return self._encoding.render_conversation(parse(tokens, role).messages, self._exact)

    def reload(self, conversation: list[FlatMessage]) -> list[FlatMessage]:
        messages = [Message.from_dict(message) for message in conversation]
        dumped = [Message.model_validate_json(message.model_dump_json()) for message in messages]
        dumped = [Message.model_validate(message.model_dump()) for message in dumped]
        whole = Conversation.from_json(Conversation(messages=dumped).to_json())
        return [Message.from_dict(message.to_dict()).to_dict() for message in whole]

    def parse_text(self, text: str, role: str | None, markers: str) -> list[Message]:
        return parse_text(text, role, markers=markers).messages  # type: ignore[arg-type]  # one of the two

    def arguments(self, text: str, only_parameter: str | None = None) -> Mapping[str, Any]:
        try:
            return parse_arguments(text, repair=True, only_parameter=only_parameter).value
        except ArgumentsError as error:
            raise RefusedError(str(error)) from error


class EventStream(TokenStream):
    """`StreamableParser.feed`, of whose events the deltas are the text."""

    def __init__(self, parser: StreamableParser) -> None:
        self._parser = parser

    def feed(self, tokens: Sequence[int]) -> str:
        try:
            return _text(self._parser.feed(tokens))
        except ParseError as error:
            raise RefusedError(str(error)) from error

    def finish(self) -> str:
        try:
            return _text(self._parser.finish())
        except ParseError as error:
            raise RefusedError(str(error)) from error

    def messages(self) -> list[Message]:
        return self._parser.messages


def _text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, ContentDelta))
