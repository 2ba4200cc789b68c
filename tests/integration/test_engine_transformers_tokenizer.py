"""The tokenizer and response template that we hand to transformers, beside our own tokenizer and parser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py import Message, RenderConfig, Role, Tokenizer, _rust, load_harmony_encoding
from harmony_py.engines.transformers import response_template
from harmony_py.engines.transformers import tokenizer as build
from harmony_py.format.parse import parse
from harmony_py.testing.strategies import spelled_tokens, texts
from harmony_py.tokenizer.special import END_OF_TEXT, N_VOCAB, RETURN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

OURS = Tokenizer.o200k_harmony()
ENCODING = load_harmony_encoding()
PROMPT = "<|start|>assistant"


@pytest.fixture(scope="module")
def theirs() -> PreTrainedTokenizerFast:
    return build()


# -- the tokenizer -------------------------------------------------------------------------------------------


@given(text=st.lists(texts | spelled_tokens, max_size=4).map("".join))
def test_ids_are_the_same(theirs: PreTrainedTokenizerFast, text: str) -> None:
    assert theirs.encode(text) == OURS.encode(text, allowed_special="all")
    assert theirs.encode(text, split_special_tokens=True) == OURS.encode_ordinary(text)


@given(ids=st.lists(st.integers(0, N_VOCAB - 1), max_size=20))
def test_ids_decode_to_the_same_text(theirs: PreTrainedTokenizerFast, ids: list[int]) -> None:
    assert theirs.decode(ids) == OURS.decode(ids)


def test_classes_of_characters_end_where_ours_do(theirs: PreTrainedTokenizerFast) -> None:
    ranges = [pair for bit in range(6) for pair in _rust.class_ranges(1 << bit)]
    points = sorted({point + step for pair in ranges for point in pair for step in (-1, 0, 1)})
    characters = [chr(point) for point in points if 0 <= point < 0x110000 and not 0xD800 <= point < 0xE000]
    assert len(characters) > 5000
    text = "".join(f"{character} a{character}b" for character in characters)
    assert theirs.encode(text) == OURS.encode_ordinary(text)


def test_what_the_models_need_is_set(theirs: PreTrainedTokenizerFast) -> None:
    assert (theirs.eos_token_id, theirs.pad_token_id) == (RETURN, END_OF_TEXT)
    assert len(theirs) == N_VOCAB
    padded = theirs(["a", "a b"], padding=True)
    assert padded["attention_mask"] == [[0, 1], [1, 1]]
    assert theirs.chat_template is None


# -- the response template -----------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="|"), max_size=20)
_ARGUMENTS = st.one_of(_TEXT, st.dictionaries(st.sampled_from("ab"), st.integers() | _TEXT).map(json.dumps))


@st.composite
def turn_messages(draw: st.DrawFn) -> Message:
    """A message as the assistant writes it, with a header of any style that is well formed."""
    kind = draw(st.sampled_from(["analysis", "commentary", "final", "call"]))
    message = Message.from_role_and_content(Role.ASSISTANT, draw(_ARGUMENTS if kind == "call" else _TEXT))
    message.channel = draw(st.sampled_from(["commentary", "analysis"])) if kind == "call" else kind
    if kind == "call":
        message.recipient = draw(
            st.sampled_from(["functions.f", "functions.get-it", "python", "browser.open"])
        )
    message.content_type = draw(st.sampled_from([None, "<|constrain|>json", "json"]))
    return message


@st.composite
def completions(draw: st.DrawFn) -> list[int]:
    """What a model might draw behind a prompt: some messages, the first begun by it."""
    style = draw(st.sampled_from(["role_first", "channel_first"]))
    config = RenderConfig(header_style=style, analysis="never")
    messages = draw(st.lists(turn_messages(), min_size=1, max_size=4))
    return ENCODING.render_conversation(messages, config)[2:]


def folded(messages: list[Message], join: str | None) -> dict[str, Any]:
    """The messages of a turn as the template gives them."""
    calls = [message for message in messages if message.is_tool_call]
    rest = [message for message in messages if not message.is_tool_call]
    fields: dict[str, Any] = {
        "reasoning_content": [message.text for message in rest if message.channel == "analysis"],
        "content": [message.text for message in rest if message.channel != "analysis"],
    }
    if join is not None:
        fields = {name: join.join(found) for name, found in fields.items()}
    fields["tool_calls"] = [
        {"type": "function", "function": {"name": name, "arguments": arguments(message.text)}}
        for message in calls
        for name in [(message.recipient or "").removeprefix("functions.")]
    ]
    return {"role": "assistant", **{name: found for name, found in fields.items() if found}}


def arguments(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text.strip()


@given(ids=completions(), join=st.sampled_from(["\n", None]))
def test_the_template_agrees_with_our_parser(
    theirs: PreTrainedTokenizerFast, ids: list[int], join: str | None
) -> None:
    template = response_template(join=join)
    expected = folded(parse(ids, Role.ASSISTANT).messages, join)
    assert theirs.parse_response(ids, template, prefix=PROMPT) == expected


@given(ids=completions(), data=st.data())
def test_the_template_does_not_depend_on_how_text_is_cut(
    theirs: PreTrainedTokenizerFast, ids: list[int], data: st.DataObject
) -> None:
    text = theirs.decode(ids)
    parser = theirs.get_response_parser(prefix=PROMPT)
    while text:
        size = data.draw(st.integers(1, 12))
        parser.feed(text[:size])
        text = text[size:]
    assert parser.finalize()[0] == theirs.parse_response(ids, prefix=PROMPT)


def test_an_answer_in_json_is_content_and_no_call(theirs: PreTrainedTokenizerFast) -> None:
    text = "<|channel|>final json<|message|>{}<|return|>"
    assert theirs.parse_response(text, prefix=PROMPT) == {"role": "assistant", "content": "{}"}
