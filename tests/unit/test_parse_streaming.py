"""`StreamableParser`: what `openai-harmony`'s does, and what it cannot."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from harmony_py.chat import Role
from harmony_py.errors import HarmonyError, ParseError
from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.format.grammar import State, StreamState, legal_control_tokens
from harmony_py.format.header import Header
from harmony_py.format.parse import StreamableParser, parse
from harmony_py.tokenizer.special import END, MESSAGE, START
from harmony_py.tokenizer.special import START_OF_TEXT as CONTROL
from tests.timing import assert_linear
from tests.token_streams import fields, ids

if TYPE_CHECKING:
    from collections.abc import Callable

TURN = ids(
    "<|channel|>analysis<|message|>Think.<|end|>"
    "<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
)


def test_events_name_the_call_before_its_arguments_come() -> None:
    parser = StreamableParser(None, "assistant")
    *_, start, delta, end = parser.feed(TURN)
    assert isinstance(start, MessageStart)
    assert (start.message_index, start.header.recipient) == (1, "functions.f")
    assert delta == ContentDelta(1, "{}")
    assert isinstance(end, MessageEnd)
    assert end.message is parser.messages[1]


def test_messages_are_the_same_objects_each_time() -> None:
    parser = StreamableParser(None, Role.ASSISTANT)
    parser.feed(TURN)
    first = parser.messages
    parser.feed(ids("<|start|>assistant<|channel|>final<|message|>Hi.<|end|>"))
    assert [a is b for a, b in zip(first, parser.messages, strict=False)] == [True, True]
    assert len(first) == 2
    assert len(parser.messages) == 3


def test_reset_begins_anew() -> None:
    parser = StreamableParser(None, "assistant", policy="recover").process(START).process(MESSAGE)
    parser.reset().feed(TURN)
    assert parser.messages == parse(TURN, "assistant").messages
    assert parser.tokens == TURN
    assert parser.diagnostics == []


@pytest.mark.parametrize("cut", range(len(TURN) + 1))
@pytest.mark.parametrize(
    "again", [StreamableParser.copy, copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_a_copy_goes_on_by_itself(cut: int, again) -> None:  # type: ignore[no-untyped-def]
    parser = StreamableParser(None, "assistant", policy="recover")
    for token in TURN[:cut]:
        parser.process(token)
    other = again(parser)
    assert other.last_content_delta == parser.last_content_delta
    assert other.current_content == parser.current_content
    other.feed(TURN[cut:])
    assert other.messages == parse(TURN, "assistant").messages
    assert parser.tokens == TURN[:cut]
    parser.feed(TURN[cut:])
    assert parser.messages == other.messages


def test_a_prompt_may_leave_a_header_or_content_open() -> None:
    conversation = ids("<|start|>user<|message|>Hi<|end|><|start|>assistant")
    parser = StreamableParser.from_prompt(None, conversation)
    assert parser.state is StreamState.HEADER
    parser.feed(ids("<|channel|>final<|message|>Hello.<|return|>"))
    assert [fields(m)[2:] for m in parser.messages] == [("final", None, None, "Hello.")]

    prefilled = ids("<|start|>user<|message|>Hi<|end|><|start|>assistant<|channel|>analysis<|message|>I ")
    parser = StreamableParser.from_prompt(None, prefilled)
    assert (parser.state, parser.current_channel) == (StreamState.CONTENT, "analysis")
    parser.feed(ids("think.<|end|>"))
    assert parser.messages[0].text == "I think."

    suffix = ids("<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>")
    parser = StreamableParser.from_prompt(None, suffix).process(*ids("Yes"))
    assert (parser.current_channel, parser.current_content) == ("final", "Yes")

    finished = StreamableParser.from_prompt(None, ids("<|channel|>final<|message|>Hi.<|end|>"))
    assert finished.state is StreamState.EXPECT_START
    assert StreamableParser.from_prompt(None, []).current_role is Role.ASSISTANT


def test_what_a_prompt_holds_is_told_from_what_comes_after() -> None:
    parser = StreamableParser.from_prompt(None, ids("<|start|>assistant<|channel|>final<|message|>Hello"))
    assert parser.feed(ids(" world")) == [ContentDelta(0, " world")]


@pytest.mark.parametrize("token", ["1", 1.5, None, [1]])
@pytest.mark.parametrize("policy", ["strict", "recover"])
def test_what_is_no_integer_is_a_type_error(token: object, policy: str) -> None:
    parser = StreamableParser(None, "assistant", policy=policy)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        parser.process(token)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        parse([START, token], policy=policy)  # type: ignore[list-item, arg-type]
    parser.feed(TURN)
    with pytest.raises(TypeError):
        parser.feed([START, token])  # type: ignore[list-item]
    assert len(parser.messages) == 2


def test_text_in_place_of_tokens_is_told_where_it_is_read() -> None:
    with pytest.raises(TypeError, match=r"integers, not a str; `format\.text\.parse_text` reads text"):
        parse("<|channel|>final<|message|>a", "assistant", policy="recover")  # type: ignore[arg-type]


@pytest.mark.parametrize("token", [-1, 2**32, 2**70])
def test_ids_out_of_range_overflow_unless_recovering(token: int) -> None:
    with pytest.raises(OverflowError):
        StreamableParser(None, "assistant").process(token)
    result = parse([*ids("<|channel|>final<|message|>a"), token, END], "assistant", policy="recover")
    assert result.messages[0].text == "a\ufffd"
    assert [d.code for d in result.diagnostics] == ["invalid_token"]


def test_arrays_iterators_and_booleans_are_taken_as_ints() -> None:
    numpy = pytest.importorskip("numpy")
    for tokens in (numpy.array(TURN), list(numpy.array(TURN)), iter(TURN), tuple(TURN)):
        messages = parse(tokens, "assistant").messages
        assert messages == parse(TURN, "assistant").messages
        assert messages[0].source
        assert {type(token) for token in messages[0].source.tokens} == {int}
    assert StreamableParser(None, "assistant").process(numpy.int64(5)).process(True).tokens == [5, 1]


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_elements_of_arrays_are_fed_like_ints(library: str) -> None:
    array = getattr(pytest.importorskip(library), {"numpy": "array", "torch": "tensor"}[library])
    parser, plain = StreamableParser(None, "assistant"), StreamableParser(None, "assistant")
    assert [parser.feed(token) for token in array(TURN)] == [plain.feed(token) for token in TURN]
    assert {type(token) for token in parser.tokens} == {int}
    with pytest.raises(TypeError):
        parser.feed(array(1.5))


def test_tool_results_are_hallucinated_only_in_what_a_model_wrote() -> None:
    result = ids("<|start|>functions.f to=assistant<|channel|>commentary<|message|>20<|end|>")
    for role, stream, codes in (
        ("assistant", [*TURN, *result], ["hallucinated_tool_result"]),
        (None, [*ids("<|start|>assistant"), *TURN, *result], []),
        ("assistant", [*ids("<|start|>assistant"), *TURN, *result], []),
    ):
        assert [d.code for d in parse(stream, role, policy="recover").diagnostics] == codes
    parser = StreamableParser.from_prompt(None, ids("<|start|>assistant"), policy="recover")
    parser.feed([*TURN, *result])
    assert [d.code for d in parser.diagnostics] == ["hallucinated_tool_result"]


def test_an_error_says_where_and_the_parser_goes_on() -> None:
    parser = StreamableParser(None, None)
    parser.feed(ids("<|start|>user<|message|>Hi<|end|>"))
    with pytest.raises(ParseError) as caught:
        parser.feed(ids("Hi<|start|>assistant"))
    error = caught.value
    assert isinstance(error, HarmonyError)
    assert isinstance(error, RuntimeError)
    assert isinstance(error, ValueError)
    assert error.reason == f"Unexpected token {ids('Hi')[0]} while expecting start token {START}"
    assert (error.token_index, error.token, error.state) == (5, ids("Hi")[0], "between messages")
    assert error.expected == ("<|start|>",)
    assert list(error.messages) == parser.messages
    assert pickle.loads(pickle.dumps(error)).token_index == 5
    parser.feed(ids("<|start|>assistant<|message|>Hello.<|end|>"))
    assert [message.text for message in parser.messages] == ["Hi", "Hello."]


def test_a_refused_header_leaks_nothing_into_the_next() -> None:
    parser = StreamableParser(None, "assistant")
    with pytest.raises(ParseError, match="unexpected tokens remaining in message header") as caught:
        parser.feed(ids("one two three<|message|>"))
    assert caught.value.token == MESSAGE
    assert (parser.state, parser.current_role) == (StreamState.EXPECT_START, None)
    parser.feed(ids("<|start|>user<|message|>Hi<|end|>"))
    assert [fields(m)[0] for m in parser.messages] == ["user"]


def test_the_index_of_an_error_in_a_header_is_that_of_the_illegal_token() -> None:
    with pytest.raises(ParseError) as caught:
        parse(ids("<|channel|>??<|end|><|start|>assistant<|channel|>analysis<|message|>"), "assistant")
    assert (caught.value.token_index, caught.value.token) == (2, END)


def test_the_end_of_a_prompt_is_pending() -> None:
    prompt = ids("<|start|>system<|message|>Be brief.<|end|><|start|>assistant")
    for role in (None, "assistant"):
        result = parse(prompt, role)
        assert [m.text for m in result.messages] == ["Be brief."]
        assert result.pending
        assert (result.pending.start, list(result.pending.tokens)) == (len(prompt) - 2, prompt[-2:])
        assert result.pending.header == Header(Role.ASSISTANT)
        assert result.spans[-1].part == "header"
    with pytest.raises(ParseError, match="Unexpected EOS while waiting for message header to complete"):
        parse([*prompt, *ids("<|channel|>fin")])


def test_the_state_tells_which_control_tokens_are_legal() -> None:
    parser = StreamableParser(None, "assistant")
    states = []
    for token in ids("<|channel|>final <|constrain|>json<|message|>{}<|return|>"):
        states.append(parser.grammar_state)
        if token >= CONTROL:
            assert token in legal_control_tokens(parser.grammar_state)
        parser.process(token)
    assert states[0] is State.ROLE
    assert set(states) == {State.ROLE, State.CHANNEL, State.TYPE, State.CONTENT}
    assert parser.grammar_state is State.BETWEEN


def test_a_role_in_the_place_of_the_encoding_is_refused() -> None:
    """It would be looked at no more than an encoding is, and the parser would expect a whole conversation."""
    for role in ("assistant", Role.ASSISTANT):
        with pytest.raises(TypeError, match="encoding: expected one, or None, and then the role"):
            StreamableParser(role)


def test_policies_and_roles_are_checked() -> None:
    with pytest.raises(ValueError, match="policy is one of strict, recover"):
        parse([], policy="lenient")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Unknown role"):
        parse([], "bot")


HOSTILE = {
    "text": ids("a b"),
    "terminators": [END],
    "starts": [START],
    "headers": ids("<|start|>assistant<|channel|>"),
    "channels in content": ids("<|message|>a<|channel|>"),
    "unfinished bytes": [9552],
    "spaces": ids("<|channel|>") + [220] * 20,
    "ids that are no tokens": [300_000, -5],
    "prose behind headers": ids("<|start|>assistant I think<|end|>so"),
    "spaces between messages": [*ids("<|message|>a<|end|>"), *ids(" " * 1200), *ids("x<|channel|>")],
    "recipients": ids("<|channel|>to=to=to=."),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("policy", ["strict", "recover"])
def test_time_is_linear_in_the_tokens(name: str, policy: str) -> None:
    def prepare(count: int) -> Callable[[], object]:
        tokens = HOSTILE[name] * (count // len(HOSTILE[name]))
        parser = StreamableParser(None, "assistant", policy=policy)  # type: ignore[arg-type]

        def parse_all() -> None:
            with suppress(HarmonyError, OverflowError):
                parser.feed(tokens)
                parser.finish()

        return parse_all

    assert_linear(prepare, 2_000)
