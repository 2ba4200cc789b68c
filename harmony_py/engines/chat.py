"""The chat loop: a conversation with any engine, events out as they happen, tools called in between.

    chat = Chat(engine, messages, tools={"get_weather": get_weather})
    for event in chat.send("What is the weather in Oslo?"):
        ...

The model's own ids are kept, so that each prompt begins with all that the engine has seen. Whatever the model
writes and whatever a tool does, the conversation goes on: what went wrong is an event, and the model is told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from harmony_py.chat import Author, Message, Role
from harmony_py.constrain import Mask
from harmony_py.engines import require_step
from harmony_py.engines.tools import INTERRUPTED, Tools
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.events import Diagnostic, Event, MessageEnd, MessageStart
from harmony_py.format.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from harmony_py.constrain import TurnSpec
    from harmony_py.engines import Engine
    from harmony_py.engines import Mask as AnyMask
    from harmony_py.format.encoding import HarmonyEncoding
    from harmony_py.format.events import Span


class ToolCalled(NamedTuple):
    """A tool is about to be called."""

    message_index: int
    """Of the call."""
    name: str


class ToolAnswered(NamedTuple):
    """What the model is told of a call."""

    message_index: int
    """Of the answer."""
    name: str
    text: str
    error: str | None
    """Why there is no result; None if there is one."""


class Completed(NamedTuple):
    """The model is done for the moment: it has answered, called a tool, or was stopped."""

    finish: str
    """The engine's reason; `"interrupted"` if it wrote what is not for it to write; `"rounds"` if the last
    round that was allowed ended in a call: that is answered, but the answer not read any more."""
    prompt: int
    """Tokens of the prompt."""
    reusable: int
    """So many of them the engine has seen before, in this place."""
    sampled: int


ChatEvent: TypeAlias = "Event | ToolCalled | ToolAnswered | Completed"
"""A parser's events carry the index that their message gets in `Chat.messages`."""


class Chat:
    """A conversation that an engine takes the assistant's part in.

    The `messages` that it begins with declare the tools; `tools` are what runs when they are called, by their
    full names or, in the namespace `functions`, by the last part. `rounds` is how often the engine may be
    asked within one turn.

    With a `spec` the assistant keeps to it; where that asks for a call, the first completion of each turn has
    to be one, and when it is answered the assistant is free to. `mask` makes another mask for each
    completion, from its prompt.
    """

    def __init__(
        self,
        engine: Engine,
        messages: Iterable[Message] = (),
        tools: Mapping[str, Callable[..., object]] | None = None,
        *,
        sampling: Any = None,
        spec: TurnSpec | None = None,
        mask: Callable[[list[int]], AnyMask | None] | None = None,
        rounds: int = 8,
        config: RenderConfig | None = None,
        encoding: HarmonyEncoding | None = None,
    ) -> None:
        if rounds < 1:
            raise ValueError(f"rounds: expected 1 or more, found {rounds}")
        if spec is not None and mask is not None:
            raise ValueError("spec, mask: expected one of them, found both")
        self._engine, self._sampling, self._rounds = engine, sampling, rounds
        self._spec, self._mask = spec, mask
        self._encoding = encoding or load_harmony_encoding()
        self._tools = Tools(tools or {})
        opening = list(messages)
        self._config = config or RenderConfig(header_style="channel_first")
        self._encoding.render_conversation(opening, self._config)  # what cannot be written is refused now
        # What the model writes must not bring the conversation to a halt: odd names are escaped.
        self._session = Session(self._encoding, opening, replace(self._config, on_invalid="escape"))

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far."""
        return self._session.messages

    def send(self, message: str | Message, *, spec: TurnSpec | None = None) -> Iterator[ChatEvent]:
        """Say something, and watch the assistant until its turn is over. `spec` is for this turn alone.

        The message is taken at once, the rest happens as the events are read. Who stops reading early ends
        the turn there; the conversation holds what was said until then, and may go on.
        """
        if isinstance(message, str):
            message = Message.from_role_and_content(Role.USER, message)
        self._encoding.render(message, config=self._config)  # refused before it is part of the conversation
        self._session.append(message)
        return self._turn(spec or self._spec)

    def _turn(self, spec: TurnSpec | None) -> Iterator[ChatEvent]:
        for round_ in range(1, self._rounds + 1):
            before = len(self.messages)
            completed = yield from self._complete(spec)
            calls = [i for i in range(before, len(self.messages)) if self._runs(i, completed.finish)]
            yield completed._replace(finish="rounds") if calls and round_ == self._rounds else completed
            for index in calls:
                yield from self._answer(index, self.messages[index])
            if not calls:
                return
            if spec is not None and spec.answer is None:
                spec = replace(spec, tool_choice="auto")  # it was asked for a call, and has called

    def _runs(self, index: int, finish: str) -> bool:
        """Whether a message calls a tool, and was not cut short."""
        message = self.messages[index]
        is_whole = finish == "stop" or (message.source is not None and message.source.complete)
        return message.is_tool_call and is_whole

    def _complete(self, spec: TurnSpec | None) -> Generator[ChatEvent, None, Completed]:
        """Ask the engine once. What it draws is part of the conversation, even if nobody reads on."""
        prompt = self._session.prompt()
        sampled: list[int] = []
        try:
            finish = yield from self._stream(prompt.tokens, self._mask_for(prompt.tokens, spec), sampled)
        finally:
            self._session.extend_sampled(sampled, tools=self._tools.names)
        return Completed(finish, len(prompt.tokens), prompt.reusable, len(sampled))

    def _mask_for(self, ids: list[int], spec: TurnSpec | None) -> AnyMask | None:
        """What may come behind `ids`."""
        if spec is not None:
            return Mask.from_spec(spec, ids)
        return self._mask(ids) if self._mask else None

    def _stream(
        self, ids: list[int], mask: AnyMask | None, sampled: list[int]
    ) -> Generator[ChatEvent, None, str]:
        """What the engine draws behind `ids`, parsed as it comes; the tokens go into `sampled`."""
        parser = self._encoding.parser(Role.ASSISTANT, policy="recover", tools=self._tools.names)
        first = len(self.messages)
        finish = "stop"
        steps = self._engine.generate(ids, self._sampling, mask=mask)
        try:
            for step in steps:
                require_step(self._engine, step)
                sampled.append(step.token)
                events = parser.feed(step.token)
                foreign = _foreign(events)
                if foreign is not None:
                    # Only the assistant's part is the model's to write.
                    del sampled[_end_before(foreign, parser.spans) :]
                    events = [event for event in events if getattr(event, "message_index", -1) != foreign]
                yield from (_placed(event, first) for event in events)
                if foreign is not None:
                    return "interrupted"
                finish = step.finish or finish
                if any(isinstance(event, MessageEnd) and event.message.is_tool_call for event in events):
                    # However it ended, what comes next is for the tool to say.
                    return finish
        finally:
            if close := getattr(steps, "close", None):
                close()
        yield from (_placed(event, first) for event in parser.finish())
        return finish

    def _answer(self, index: int, call: Message) -> Iterator[ChatEvent]:
        """Run the tool that a message calls. Every call is answered, also where nobody waits for it."""
        name = call.recipient or ""
        answer = INTERRUPTED
        try:
            yield ToolCalled(index, name)
            answer = self._tools.run(call)
        finally:
            said = Message.from_author_and_content(Author(role=Role.TOOL, name=name), answer.text)
            said = said.with_recipient(Role.ASSISTANT.value)
            self._session.append(said.with_channel(call.channel) if call.channel else said)
        yield ToolAnswered(len(self.messages) - 1, name, answer.text, answer.error)


def _foreign(events: list[Event]) -> int | None:
    """The message that begins and is not the assistant's, if there is one."""
    for event in events:
        if isinstance(event, MessageStart) and event.header.role is not Role.ASSISTANT:
            return event.message_index
    return None


def _end_before(message: int, spans: list[Span]) -> int:
    """Where the messages before `message` end."""
    return max((span.end for span in spans if span.message is not None and span.message < message), default=0)


def _placed(event: Event, first: int) -> Event:
    """The event with its message's index in the conversation."""
    if isinstance(event, Diagnostic):
        return event
    return event._replace(message_index=first + event.message_index)
