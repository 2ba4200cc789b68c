"""Token-exact conversations: what was sampled stays, and a prompt that breaks its prefix says where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import Author, Message, Role
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.session import Session
from harmony_py.testing.strategies import flat_messages
from harmony_py.tokenizer.special import END, RETURN

ENCODING = load_harmony_encoding()
KEEP = RenderConfig(analysis="never")


def ids(text: str) -> list[int]:
    return ENCODING.encode(text, allowed_special="all")


def user(text: str) -> Message:
    return Message.from_role_and_content(Role.USER, text)


def result(text: str) -> Message:
    message = Message.from_author_and_content(Author.new(Role.TOOL, "functions.f"), text)
    return message.with_channel("commentary").with_recipient("assistant")


THOUGHT = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"
CALL = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
ANSWER = "<|channel|>final<|message|>hello<|return|>"

COMPLETIONS = [
    THOUGHT + ANSWER,
    THOUGHT + CALL,
    CALL,
    ANSWER,
    "<|channel|>final<|message|>cut off",
    "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{",
    THOUGHT + "<|channel|>fin",
    "no header at all<|end|><|start|>assistant" + ANSWER,
    "<|channel|>analysis<|message|>hm<|end|>noise between<|start|>assistant" + ANSWER,
    "<|channel|>final<|message|>hello<|return|><|endoftext|><|endoftext|>",
    "<|channel|>final I forgot the marker<|return|>",
]


@given(
    st.lists(flat_messages(), max_size=3),
    st.lists(st.tuples(st.sampled_from(COMPLETIONS), st.text(max_size=5)), min_size=1, max_size=6),
)
def test_a_prompt_begins_with_the_last_one_and_what_was_sampled(
    flat: list[dict[str, Any]], turns: list[tuple[str, str]]
) -> None:
    session = Session(ENCODING, map(Message.from_dict, flat), KEEP)
    first = session.prompt()
    assert (first.shared, first.reusable, first.broken) == (0, 0, None)
    before = first.tokens
    for completion, question in turns:
        sampled = ids(completion)
        found = session.extend_sampled(sampled)
        session.append(user(question))
        prompt = session.prompt()
        assert prompt.broken is None
        assert prompt.shared == len(before)
        assert prompt.tokens[: prompt.reusable] == (before + sampled)[: prompt.reusable]
        if found.pending is None and not any(d.code == "noise" for d in found.diagnostics):
            assert prompt.reusable >= len(before) + len(sampled) - (sampled[-1] == RETURN)
        before = prompt.tokens


@given(st.lists(flat_messages(), max_size=5), st.sampled_from(list(Role)))
def test_without_sampling_it_is_the_plain_prompt(flat: list[dict[str, Any]], role: Role) -> None:
    messages = list(map(Message.from_dict, flat))
    expected = ENCODING.render_conversation_for_completion(messages, role)
    assert Session(ENCODING, messages).prompt(role).tokens == expected


def test_ids_that_no_encoder_would_choose_stay() -> None:
    session = Session(ENCODING, [user("hi")])
    before = session.prompt().tokens
    odd = [
        *ids("<|channel|>final<|message|>"),
        71,
        6053,
        RETURN,
    ]  # "h" + "ello", for which there is one token
    assert session.extend_sampled(odd).messages[0].text == "hello"
    session.append(user("more"))
    prompt = session.prompt()
    assert prompt.tokens[: len(before) + len(odd)] == [*before, *odd[:-1], END]
    assert prompt.reusable == len(before) + len(odd) - 1


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_arrays_of_ids_are_ids(library: str) -> None:
    """A list and an array of its length would be added up, number by number."""
    array = getattr(pytest.importorskip(library), {"numpy": "array", "torch": "tensor"}[library])
    prompts = []
    for as_sampled in (list, array):
        session = Session(ENCODING, [Message.from_role_and_content(Role.USER, "Hi")])
        length = len(session.prompt().tokens)
        sampled = ENCODING.encode("<|channel|>final<|message|>" + "a " * 50, allowed_special="all")[:length]
        assert len(sampled) == length
        session.extend_sampled(as_sampled(sampled))
        session.append(Message.from_role_and_content(Role.USER, "And?"))
        prompts.append(session.prompt())
    assert prompts[0] == prompts[1]
    assert prompts[0].reusable == 2 * length


def test_a_changed_answer_is_written_anew() -> None:
    session = Session(ENCODING, [user("hi")])
    session.prompt()
    session.extend_sampled(ids(ANSWER))
    session.append(user("more"))
    before = session.prompt()
    session.messages[1].content[0].text = "something else"  # type: ignore[union-attr]
    after = session.prompt()
    assert after.tokens == ENCODING.render_conversation_for_completion(list(session.messages))
    assert after.broken is not None
    assert (after.broken.message_index, after.broken.dropped) == (1, ())
    assert after.shared == after.broken.token_index < before.shared + before.reusable


def test_a_policy_that_drops_thoughts_says_where() -> None:
    session = Session(ENCODING, [user("hi")])
    session.prompt()
    session.extend_sampled(ids(THOUGHT + CALL))
    session.append(result("1"))
    assert session.prompt().broken is None  # the turn goes on: its thoughts are kept
    session.extend_sampled(ids(THOUGHT + ANSWER))
    session.append(user("more"))
    prompt = session.prompt()
    assert prompt.broken is not None
    assert prompt.broken.message_index == 1
    assert prompt.broken.dropped == (1, 4)
    assert prompt.tokens[: prompt.shared] == ENCODING.render(user("hi")) + ids(
        "<|start|>assistant<|channel|>"
    )
    texts = [message.text for message in session.messages]
    assert texts == ["hi", "hm", "{}", "1", "hm", "hello", "more"]
    assert ENCODING.decode(prompt.tokens).count("<|channel|>analysis") == 0


def test_the_next_role_may_be_another() -> None:
    session = Session(ENCODING, [user("hi")], KEEP)
    session.prompt()
    session.append(user("still me"))
    prompt = session.prompt(Role.USER)
    assert prompt.broken is not None
    assert (prompt.broken.message_index, prompt.shared) == (1, len(ENCODING.render(user("hi"))) + 1)
    found = session.extend_sampled(ids("<|message|>as the user<|end|>"))
    assert [message.author.role for message in found.messages] == [Role.USER]


@pytest.mark.parametrize("completion", COMPLETIONS)
def test_prompts_stay_readable_whatever_was_sampled(completion: str) -> None:
    session = Session(ENCODING, [user("hi")], KEEP)
    session.prompt()
    found = session.extend_sampled(ids(completion))
    session.append(user("more"))
    read = ENCODING.parse(session.prompt().tokens, policy="recover")
    texts = iter([message.text for message in read.messages])
    expected = ["hi", *(message.text for message in found.messages), "more"]
    assert all(text in texts for text in expected)  # in this order; noise may be taken for more
