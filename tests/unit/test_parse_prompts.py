"""What a prompt leaves open: the parser that goes on from there, and the header that is still pending."""

from __future__ import annotations

from typing import Any

import pytest

from harmony_py.chat import Role
from harmony_py.errors import ParseError
from harmony_py.format.grammar import State
from harmony_py.format.header import Header
from harmony_py.format.parse import StreamableParser
from harmony_py.tokenizer.special import START
from tests.token_streams import fields, ids

ANSWER = ids("<|channel|>final<|message|>Hi.<|return|>")
NO_START = ids("<|channel|>analysis<|message|>Think.<|end|><|channel|>final<|message|>Hi.<|return|>")


@pytest.mark.parametrize("before", ["", "Text.", "<|start|>user<|message|>Hi.<|end|>"])
def test_the_start_marker_is_found_wherever_it_stands(before: str) -> None:
    prompt = [*ids(before), START]
    for more in ([], ids("assistant"), ids("assistant to=functions.f")):
        parser = StreamableParser.from_prompt(None, prompt + more)
        assert parser.tokens == [START, *more]
        assert parser.grammar_state is State.ROLE
        assert parser.current_role is None
    parser = StreamableParser.from_prompt(None, prompt)
    parser.feed(ids("assistant") + ANSWER)
    assert [fields(message).text for message in parser.messages] == ["Hi."]


def test_what_stands_before_the_last_message_may_be_anything() -> None:
    parser = StreamableParser.from_prompt(None, [2**70, -1, *ids("<|start|>assistant")])
    parser.feed(ANSWER)
    assert [message.text for message in parser.messages] == ["Hi."]


def test_a_prompt_without_a_start_marker_follows_one_and_the_assistants_role() -> None:
    parser = StreamableParser.from_prompt(None, ids("<|channel|>final<|message|>Hel"))
    assert (parser.current_role, parser.current_channel) == (Role.ASSISTANT, "final")
    with_start = StreamableParser.from_prompt(None, ids("<|start|>user<|message|>Hel"))
    assert (with_start.current_role, with_start.current_channel) == (Role.USER, None)


@pytest.mark.parametrize("refuses", [{}, {"strict": True}, {"policy": "strict"}])
def test_it_refuses_what_is_malformed(refuses: dict[str, Any]) -> None:
    parser = StreamableParser.from_prompt(None, ids("<|start|>assistant"), **refuses)
    with pytest.raises(ParseError):
        parser.feed(NO_START)


@pytest.mark.parametrize("recovers", [{"strict": False}, {"policy": "recover"}])
def test_it_recovers_where_asked_to(recovers: dict[str, Any]) -> None:
    parser = StreamableParser.from_prompt(None, ids("<|start|>assistant"), **recovers)
    parser.feed(NO_START)
    assert [message.text for message in parser.messages] == ["Think.", "Hi."]


def test_it_knows_the_tools() -> None:
    call = ids("<|channel|>commentary to=get_weather<|message|>{}<|call|>")
    tools = ["functions.get_weather"]
    parser = StreamableParser.from_prompt(None, ids("<|start|>assistant"), strict=False, tools=tools)
    parser.feed(call)
    assert parser.messages[0].recipient == "functions.get_weather"


def test_what_the_prompt_says_already_is_no_news() -> None:
    parser = StreamableParser.from_prompt(None, ids("<|start|>assistant<|channel|>final<|message|>Hello"))
    assert parser.last_content_delta is None
    assert parser.current_content == "Hello"
    assert parser.process(*ids("!")).last_content_delta == "!"


def test_a_pending_header_says_what_it_can() -> None:
    opened = ids("<|channel|>commentary to=get_weather")
    open_parser = StreamableParser(None, "assistant")
    open_parser.feed(opened)
    header = Header(Role.ASSISTANT, channel="commentary", recipient="get_weather", style="channel_first")
    assert open_parser.pending == (0, tuple(opened), header)
    senseless = StreamableParser(None, None)
    senseless.feed(ids("<|start|>nobody"))
    assert senseless.pending
    assert senseless.pending.header is None


def test_a_pending_header_may_begin_with_a_known_tool() -> None:
    for tools, header in ([], None), (["lookup"], Header(Role.TOOL, "lookup")):
        parser = StreamableParser(None, None, tools=tools)
        parser.feed(ids("<|start|>lookup"))
        assert parser.pending
        assert parser.pending.header == header
