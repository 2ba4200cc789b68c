"""Messages: what they say of themselves, and how they survive being stored."""

from __future__ import annotations

import copy
import pickle

import pytest
from pydantic import ValidationError

from harmony_py.chat import (
    Author,
    Content,
    Conversation,
    Message,
    MessageSource,
    ReasoningEffort,
    Role,
    SystemContent,
    TextContent,
)


def to(recipient: str | None, role: Role = Role.ASSISTANT, name: str | None = None) -> Message:
    return Message(author=Author(role=role, name=name), recipient=recipient)


@pytest.mark.parametrize(
    ("message", "is_call", "namespace", "name"),
    [
        (to("functions.get_weather"), True, "functions", "get_weather"),
        (to("functions.a.b"), True, "functions", "a.b"),
        (to("python"), True, None, "python"),
        (to("browser.search"), True, "browser", "search"),
        (to(None), False, None, None),
        (to(""), False, None, None),
        (to("all"), False, None, None),
        (to("assistant"), False, None, None),
        (to("functions.f", Role.USER), False, None, None),
        (to("assistant", Role.TOOL, "functions.f"), False, "functions", "f"),
        (to(None, Role.TOOL, "python"), False, None, "python"),
    ],
)
def test_calls_and_results(message: Message, is_call: bool, namespace: str | None, name: str | None) -> None:
    assert (message.is_tool_call, message.namespace, message.tool_name) == (is_call, namespace, name)


def test_text_is_all_text_and_nothing_else() -> None:
    parts = [TextContent(text="a"), SystemContent.new(), TextContent(text="b")]
    assert Message.from_role_and_contents(Role.SYSTEM, parts).text == "ab"


@pytest.mark.parametrize("spelled", ["high", "High", "HIGH"])
def test_efforts_in_any_case(spelled: str) -> None:
    assert ReasoningEffort(spelled) is ReasoningEffort.HIGH
    assert SystemContent(reasoning_effort=spelled).reasoning_effort is ReasoningEffort.HIGH
    assert SystemContent.new().with_reasoning_effort(spelled).reasoning_effort is ReasoningEffort.HIGH


def test_a_conversation_comes_back_from_its_dictionary() -> None:
    conversation = Conversation.from_messages([Message.from_role_and_content(Role.USER, "Hi")])
    assert Conversation.from_dict(conversation.to_dict()) == conversation
    with pytest.raises(TypeError, match="content: expected text or a list of parts, found None"):
        Conversation.from_dict({"messages": [{"role": "assistant", "content": None}]})


@pytest.mark.parametrize("wrong", ["minimal", "", 3])
def test_there_are_no_other_efforts(wrong: object) -> None:
    with pytest.raises(ValueError, match="not a valid ReasoningEffort: expected low, medium or high"):
        ReasoningEffort(wrong)


def test_a_part_of_no_known_kind() -> None:
    with pytest.raises(ValidationError, match="does not match any of the expected tags"):
        Message(author=Author(role=Role.USER), content=[{"type": "image", "url": "x"}])
    with pytest.raises(NotImplementedError):
        Content().to_dict()


SOURCE = MessageSource(tokens=(1, 2), start=0, header_style="channel_first", terminator=2, complete=True)


def parsed() -> Message:
    message = Message.from_role_and_content(Role.ASSISTANT, "hi").with_channel("final")
    message.attach_source(SOURCE)
    return message


def test_a_source_is_no_part_of_what_a_message_says() -> None:
    message = parsed()
    plain = Message.from_role_and_content(Role.ASSISTANT, "hi").with_channel("final")
    assert message == plain
    assert message.model_dump() == plain.model_dump()
    assert message.to_dict() == plain.to_dict()
    assert plain.source is None
    assert message != "hi"


def test_copies_keep_the_source() -> None:
    for twin in (
        parsed().model_copy(deep=True),
        copy.deepcopy(parsed()),
        pickle.loads(pickle.dumps(parsed())),
    ):
        assert twin == parsed()
        assert twin.source == SOURCE
        twin.content[0].text = "changed"
        assert twin.source is None


def test_a_change_that_is_undone_leaves_the_source() -> None:
    message = parsed()
    message.channel = "analysis"
    assert message.source is None
    message.channel = "final"
    assert message.source == SOURCE


def test_conversations_are_their_messages() -> None:
    conversation = Conversation.from_messages([parsed(), parsed()])
    assert list(conversation) == conversation.messages
    assert Conversation.from_json(conversation.to_json()) == conversation
    assert Conversation.model_validate(conversation.model_dump()) == conversation
    assert Conversation.model_validate(conversation.to_dict()) == conversation
