"""Parsed messages render to the tokens they came from, and rendered ones parse to what they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import Author, Conversation, Message, Role
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import HarmonyEncoding
from harmony_py.format.parse import parse
from harmony_py.testing.strategies import well_formed
from harmony_py.tokenizer.special import CALL, CHANNEL, CONSTRAIN, END, MESSAGE, RETURN, START
from tests.token_streams import fields, ids

if TYPE_CHECKING:
    from harmony_py.testing.tokens import Stream

encoding = HarmonyEncoding(config=RenderConfig(analysis="never"))


@given(well_formed(named=True))
def test_well_formed_tokens_come_back_as_they_were(case: Stream) -> None:
    tokens, role, _ = case
    if tokens[-1] not in (END, RETURN, CALL):
        tokens = [*tokens, END]
    messages = parse(tokens, role).messages
    prompt = ids("<|start|>assistant") if role else []
    # `<|return|>` ends a turn; in a conversation that went on, the message ends like any other.
    before = [END if token == RETURN else token for token in tokens[:-1]]
    assert encoding.render_conversation(messages) == [*prompt, *before, tokens[-1]]


def test_a_completion_extends_its_prompt_token_by_token() -> None:
    user = Message.from_role_and_content(Role.USER, "Hi")
    prompt = encoding.render_conversation_for_completion([user])
    # "h" and "ello": not as the tokenizer would have it, but as the model may.
    completion = [*ids("<|channel|>commentary to=functions.f <|constrain|>json<|message|>"), 71, 6053, CALL]
    result = parse(completion, Role.ASSISTANT)
    assert encoding.render_conversation([user, *result.messages]) == prompt + completion
    assert encoding.render_conversation_for_completion([user, *result.messages])[:-2] == prompt + completion


def test_no_detail_of_a_header_is_lost() -> None:
    written = [
        "<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        "<|start|>assistant<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>",
        "<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{}<|call|>",
        "<|start|>assistant to=functions.f <|constrain|>json<|channel|>commentary<|message|>{}<|call|>",
        "<|start|>assistant<|channel|>analysis to=python code<|message|>1+1<|end|>",
    ]
    for text in written:
        (message,) = parse(ids(text)).messages
        assert encoding.render(message) == ids(text)


def test_changed_or_mended_messages_are_written_anew() -> None:
    tokens = ids(
        "<|start|>assistant<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>"
    )
    (message,) = parse(tokens).messages
    message.channel = "analysis"
    assert CHANNEL in encoding.render(message)
    assert encoding.render(message) != tokens
    stutter = ids(
        "<|start|><|start|>assistant to=functions.f<|channel|>final<|constrain|> json<|message|>{}<|call|>"
    )
    (mended,) = parse(stutter, policy="recover").messages
    assert mended.source is None
    again = encoding.render(mended)
    assert [again.count(token) for token in (START, CHANNEL, CONSTRAIN, MESSAGE)] == [1, 1, 1, 1]
    assert fields(parse(again).messages[0]) == fields(mended)


names = st.from_regex(r"[a-z_]{1,8}\.[a-z_]{1,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    role = draw(st.sampled_from(list(Role)))
    name = draw(names) if role is Role.TOOL else draw(st.none() | st.sampled_from(["bob", "a.b"]))
    message = Message.from_author_and_content(Author(role=role, name=name), draw(texts))
    message.channel = draw(st.sampled_from([None, "analysis", "commentary", "final", "odd"]))
    message.recipient = draw(st.none() | names | st.just("assistant"))
    if message.recipient:
        message.content_type = draw(st.sampled_from([None, "json", "<|constrain|>json", "text/plain"]))
    else:
        message.content_type = draw(st.sampled_from([None, "json", "<|constrain|>lark"]))
    return message


@given(st.lists(messages(), max_size=4), st.sampled_from(["role_first", "channel_first"]))
def test_what_is_rendered_parses_to_what_it_was(conversation: list[Message], style: str) -> None:
    config = RenderConfig(analysis="never", header_style=style)  # type: ignore[arg-type]
    tokens = encoding.render_conversation(Conversation(messages=conversation), config)
    assert parse(tokens).messages == conversation
    recovered = parse(tokens, policy="recover")
    assert list(map(fields, recovered.messages)) == list(map(fields, conversation)) or any(
        diagnostic.code in ("self_recipient", "misspelt_channel") for diagnostic in recovered.diagnostics
    )
