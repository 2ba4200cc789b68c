"""The strategies give what they say, and what they give shrinks."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import hypothesis
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import (
    Author,
    Conversation,
    DeveloperContent,
    Message,
    Role,
    SystemContent,
    TextContent,
    ToolDescription,
    ToolNamespaceConfig,
)
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.parse import parse
from harmony_py.testing import hypothesis_plugin
from harmony_py.testing import strategies as gen
from harmony_py.testing.implementation import Fields
from harmony_py.testing.strategies.text import combining_marks

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.testing.tokens import Stream

hypothesis_plugin.register()

quick = hypothesis.settings(max_examples=200, database=None, derandomize=True)


@given(gen.parameters.flatmap(lambda schema: st.tuples(st.just(schema), gen.instances(schema))))
def test_instances_follow_their_schema(case: tuple[dict[str, Any], Any]) -> None:
    schema, instance = case
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(instance, schema)


@given(gen.tools().flatmap(lambda tool: st.tuples(st.just(tool), gen.arguments(tool))))
def test_arguments_are_the_text_of_an_object_that_a_tool_takes(case: tuple[dict[str, Any], str]) -> None:
    tool, text = case
    passed = json.loads(text)
    assert isinstance(passed, dict)
    jsonschema.validate(passed, tool.get("parameters", {}))


def test_a_schema_that_instances_do_not_know_is_named() -> None:
    with pytest.raises(ValueError, match="instances of a schema with pattern are not known"):
        gen.instances({"type": "string", "pattern": "a"})


@given(gen.conversations())
def test_conversations_are_such_as_apps_hold(conversation: Conversation) -> None:
    declared = {"python"}
    called: list[str] = []
    for message in conversation:
        for part in message.content:
            if isinstance(part, DeveloperContent) and part.tools:
                declared |= {f"functions.{tool.name}" for tool in part.tools["functions"].tools}
        if message.is_tool_call:
            assert message.recipient in declared
            called.append(message.recipient or "")
        if message.author.role is Role.TOOL:
            assert message.author.name == called.pop()
    assert not called
    assert load_harmony_encoding().render_conversation(conversation)


@given(gen.well_formed(named=True))
def test_well_formed_streams_are_what_they_say(stream: Stream) -> None:
    assert tuple(map(Fields.of, parse(stream.tokens, stream.role).messages)) == stream.messages


@pytest.mark.parametrize(
    "kind",
    [
        *(Author, Conversation, DeveloperContent, Message, Role, SystemContent, TextContent),
        *(ToolDescription, ToolNamespaceConfig),
    ],
)
@hypothesis.settings(max_examples=10)
@given(data=st.data())
def test_types_have_strategies(kind: type, data: st.DataObject) -> None:
    assert isinstance(data.draw(st.from_type(kind)), kind)


INTERESTING: dict[str, tuple[Any, Callable[[Any], bool]]] = {
    "a text that spells a control token": (
        gen.texts,
        lambda text: re.search(r"<\|[a-z]+\|>", text) is not None,
    ),
    "a text with a lone surrogate": (
        gen.texts_with_surrogates,
        lambda text: "\ud800" <= max(text, default="") <= "\udfff",
    ),
    "a mark on a character": (combining_marks, lambda text: len(text) > 2),
    "the same again and again": (gen.runs, lambda text: len(text) > 100),
    "a tool loop": (
        gen.dialogues(),
        lambda flat: sum(message["role"] == "tool" for message in flat) > 1,
    ),
    "a second turn": (gen.dialogues(), lambda flat: sum(message["role"] == "user" for message in flat) > 1),
    "a developer's tool with parameters": (
        gen.tools(),
        lambda tool: bool(tool.get("parameters", {}).get("properties")),
    ),
    "a stream that begins anew": (gen.well_formed(), lambda stream: stream.role is None),
    "a stream cut short": (gen.well_formed(), lambda stream: stream.tokens[-1] < 200_000),
}


@pytest.mark.parametrize("what", INTERESTING)
def test_nothing_interesting_is_rare(what: str) -> None:
    strategy, interesting = INTERESTING[what]
    hypothesis.find(strategy, interesting, settings=quick)


# -- shrinking ---------------------------------------------------------------------------------------------


def loses_the_last_character_of_results(conversation: Conversation) -> Conversation:
    """A planted bug: what a tool answers is cut by a character."""
    messages = [message.model_copy(deep=True) for message in conversation]
    for message in messages:
        if message.author.role is Role.TOOL:
            message.content = [TextContent(text=message.text[:-1])]
    return Conversation(messages=messages)


def drops_thoughts_before_calls(conversation: Conversation) -> Conversation:
    """Another: a thought that a call follows is gone."""
    messages = list(conversation)
    kept = [
        message
        for message, after in zip(messages, [*messages[1:], None], strict=True)
        if not (message.channel == "analysis" and not message.recipient and after and after.is_tool_call)
    ]
    return Conversation(messages=kept)


@pytest.mark.parametrize(
    ("bug", "roles", "characters"),
    [
        # The call's arguments, which are at least `{}`, and a character of its result.
        (loses_the_last_character_of_results, ["user", "assistant", "tool"], 3),
        (drops_thoughts_before_calls, ["user", "assistant", "assistant", "tool"], 2),
    ],
)
def test_a_failing_conversation_shrinks_to_a_few_short_messages(
    bug: Callable[[Conversation], Conversation], roles: list[str], characters: int
) -> None:
    found = hypothesis.find(gen.conversations(), lambda each: bug(each) != each, settings=quick)
    said = [message for message in found if message.author.role not in (Role.SYSTEM, Role.DEVELOPER)]
    assert [message.author.role.value for message in said] == roles
    assert len(found.messages) - len(said) <= 1
    assert sum(len(message.text) for message in found) <= characters


def test_a_failing_stream_shrinks_to_one_short_message() -> None:
    found = hypothesis.find(
        gen.well_formed(named=True), lambda stream: any(f.recipient for f in stream.messages), settings=quick
    )
    assert len(found.messages) == 1
    assert found.messages[0].text == ""
