"""Rendering and parsing, beside `openai-harmony`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.cli.measure import HARMONY, OURS, Figure, by_turns, figure, installed, micro, vocabulary
from harmony_py.tokenizer import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TURNS: Final = 10

QUESTION: Final = (
    "Which of the {} ferries to the islands still run in winter, and where do I board the first one?"
)
THOUGHT: Final = (
    "There are {} lines. The winter timetable is what counts here; I look it up before I say anything about "
    "piers, because two of them are closed for repairs."
)
ARGUMENTS: Final = '{{"harbour": "Piräus", "season": "winter", "lines": {}}}'
RESULT: Final = '{{"running": [1, 4, 7], "first": {{"at": "06:45", "pier": "B"}}, "of": {}}}'
ANSWER: Final = (
    "Of the {} lines three run in winter: **1**, **4** and **7**. The first leaves at 06:45 from pier B.\n"
)


def conversation(library: Any, turns: int) -> Any:
    """The same conversation in the classes of either library."""
    schema = {"type": "object", "properties": {"harbour": {"type": "string"}, "lines": {"type": "integer"}}}
    tools = [library.ToolDescription.new("timetable", "Lists ferries.", schema)]
    developer = library.DeveloperContent.new().with_function_tools(tools)
    texts = (QUESTION, THOUGHT, ARGUMENTS, RESULT, ANSWER)
    return talk(library, library.SystemContent.new(), developer, "functions.timetable", texts, turns)


def talk(library: Any, system: Any, developer: Any, tool: str, texts: Sequence[str], turns: int) -> Any:
    """Turns of five messages, of texts that name the turn's number: a question, a thought, a call of `tool`,
    its result, an answer."""
    message, role = library.Message, library.Role
    messages = [
        message.from_role_and_content(role.SYSTEM, system),
        message.from_role_and_content(role.DEVELOPER, developer),
    ]
    for turn in range(turns):
        question, thought, call, result, answer = (text.format(turn) for text in texts)
        messages += [
            message.from_role_and_content(role.USER, question),
            message.from_role_and_content(role.ASSISTANT, thought).with_channel("analysis"),
            message.from_role_and_content(role.ASSISTANT, call)
            .with_channel("commentary")
            .with_recipient(tool)
            .with_content_type("<|constrain|>json"),
            message.from_author_and_content(library.Author.new(role.TOOL, tool), result)
            .with_channel("commentary")
            .with_recipient("assistant"),
            message.from_role_and_content(role.ASSISTANT, answer).with_channel("final"),
        ]
    return library.Conversation.from_messages(messages)


class _Library(NamedTuple):
    """A library that renders and parses, ours or `openai-harmony`."""

    module: Any
    new_encoding: Callable[[], Any]


def _libraries() -> dict[str, _Library]:
    import harmony_py.chat as ours
    from harmony_py.format.config import UPSTREAM
    from harmony_py.format.encoding import HarmonyEncoding

    tokenizer = Tokenizer.o200k_harmony()
    found = {OURS: _Library(ours, lambda: HarmonyEncoding(tokenizer, UPSTREAM))}
    if HARMONY in installed():
        vocabulary()
        import openai_harmony  # type: ignore[import-untyped]

        theirs = openai_harmony.load_harmony_encoding("HarmonyGptOss")
        found[HARMONY] = _Library(openai_harmony, lambda: theirs)
    return found


def render(repeats: int) -> list[Figure]:
    """A prompt of some turns: by an encoding that was just made, and once more."""
    libraries = _libraries()
    subjects = {name: conversation(library.module, TURNS) for name, library in libraries.items()}

    def prompt(name: str, encoding: Any) -> Any:
        return encoding.render_conversation_for_completion(
            subjects[name], libraries[name].module.Role.ASSISTANT
        )

    tokens = {name: prompt(name, library.new_encoding()) for name, library in libraries.items()}
    same = all(found == tokens[OURS] for found in tokens.values())
    new = {name: lambda name=name: prompt(name, libraries[name].new_encoding()) for name in libraries}
    kept = {name: library.new_encoding() for name, library in libraries.items()}
    again = {name: functools.partial(prompt, name, kept[name]) for name in libraries}
    for call in again.values():
        call()
    what = f"render {TURNS} turns, {len(tokens[OURS]):,} tokens"
    return [
        figure(f"{what}, first time", "us", micro(by_turns(new, repeats, 5)), agrees=same),
        figure(f"{what}, again", "us", micro(by_turns(again, repeats, 20)), agrees=same),
    ]


def parse(repeats: int) -> list[Figure]:
    """A turn at once, and a token at a time, with what a host reads in between."""
    from harmony_py.format.parse import StreamableParser

    libraries = _libraries()
    thought, answer = THOUGHT.format(12) * 8, ANSWER.format(12) * 8
    tokens = Tokenizer.o200k_harmony().encode(
        f"<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{answer}<|return|>",
        allowed_special="all",
    )
    encodings = {name: library.new_encoding() for name, library in libraries.items()}
    parsers: dict[str, Any] = {OURS: StreamableParser}
    if HARMONY in libraries:
        parsers[HARMONY] = libraries[HARMONY].module.StreamableParser

    def whole(name: str) -> Any:
        role = libraries[name].module.Role.ASSISTANT
        return encodings[name].parse_messages_from_completion_tokens(tokens, role)

    def streamed(name: str) -> None:
        parser = parsers[name](encodings[name], libraries[name].module.Role.ASSISTANT)
        for token in tokens:
            parser.process(token)
            _ = parser.last_content_delta, parser.current_channel

    texts = {name: [message.content[0].text for message in whole(name)] for name in libraries}
    same = all(found == texts[OURS] for found in texts.values())
    figures = []
    for what, call in (("parse a turn whole", whole), ("parse a stream, polled", streamed)):
        seconds = by_turns({name: functools.partial(call, name) for name in libraries}, repeats, 3)
        per_token = {name: value / len(tokens) for name, value in seconds.items()}
        figures.append(figure(f"{what}, {len(tokens)} tokens", "us/token", micro(per_token), agrees=same))
    return figures
