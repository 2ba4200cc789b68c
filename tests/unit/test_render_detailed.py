"""Spans, loss mask, training samples, header styles."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import Author, DeveloperContent, Message, Role, TextContent
from harmony_py.format.config import UPSTREAM, RenderConfig
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.testing.strategies import flat_conversations
from harmony_py.tokenizer.special import CALL, END, MESSAGE, RETURN, STOP_TOKENS

if TYPE_CHECKING:
    from harmony_py.format.render import Rendered

ENCODING = load_harmony_encoding()
KEEP = RenderConfig(analysis="never")


def said(role: str, text: str, channel: str | None = None, recipient: str | None = None) -> Message:
    author = Author(role=Role(role), name="functions.f" if role == "tool" else None)
    return Message(author=author, content=[TextContent(text=text)], channel=channel, recipient=recipient)


TURN = [
    said("user", "hi"),
    said("assistant", "think", "analysis"),
    said("assistant", "{}", "commentary", "functions.f"),
    said("tool", "20", "commentary", "assistant"),
    said("assistant", "so", "analysis"),
    said("assistant", "hello", "final"),
]


def masked(rendered: Rendered) -> str:
    """The text that the loss is on."""
    kept = [token for token, wanted in zip(rendered.tokens, rendered.loss_mask, strict=True) if wanted]
    return ENCODING.decode(kept)


@given(flat_conversations, st.booleans(), st.sampled_from([None, Role.ASSISTANT]))
def test_spans_and_mask_cover_exactly_the_tokens(
    flat: list[dict[str, Any]], training: bool, next_role: Role | None
) -> None:
    messages = list(map(Message.from_dict, flat))
    rendered = ENCODING.render_detailed(messages, next_turn_role=next_role, training=training, config=KEEP)
    tokens, spans, mask = rendered
    if next_role is not None:
        assert tokens == ENCODING.render_conversation_for_completion(messages, next_role, KEEP)
    elif training:
        assert tokens == ENCODING.render_conversation_for_training(messages, KEEP)
    else:
        assert tokens == ENCODING.render_conversation(messages, KEEP)
    assert [span.start for span in spans] == [0, *(span.end for span in spans)][: len(spans)]
    assert (spans[-1].end if spans else 0) == len(tokens) == len(mask)
    for span in spans:
        own = tokens[span.start : span.end]
        if span.message is None:
            assert (span.part, span.role) == ("header", next_role)
            continue
        message = messages[span.message]
        assert (span.role, span.channel) == (message.author.role, message.channel)
        if span.part == "header":
            assert own[-1] == MESSAGE
        elif span.part == "terminator":
            assert own[0] in STOP_TOKENS
            assert len(own) == 1
        elif all(isinstance(part, TextContent) for part in message.content):
            assert ENCODING.decode(own) == message.text
        if message.author.role is not Role.ASSISTANT:
            assert not any(mask[span.start : span.end])
        elif span.part != "header":
            assert all(mask[span.start : span.end])


def test_every_part_has_its_name_and_what_is_empty_has_none() -> None:
    messages = [said("user", "hi"), said("assistant", "", "final")]
    spans = ENCODING.render_detailed(messages, next_turn_role=Role.ASSISTANT).spans
    parts = [(span.message, span.part) for span in spans]
    assert parts == [
        *((0, "header"), (0, "content"), (0, "terminator")),
        *((1, "header"), (1, "terminator")),
        (None, "header"),
    ]


def test_the_loss_is_on_what_was_sampled() -> None:
    rendered = ENCODING.render_detailed(TURN, training=True)
    assert masked(rendered) == (
        "<|channel|>analysis<|message|>think<|end|>"
        "<|start|>assistant to=functions.f<|channel|>commentary<|message|>{}<|call|>"
        "<|channel|>analysis<|message|>so<|end|>"
        "<|start|>assistant<|channel|>final<|message|>hello<|return|>"
    )


def test_the_loss_by_channel() -> None:
    finals = ENCODING.render_detailed(TURN, training=True, loss_channels={"final"})
    assert masked(finals) == "<|start|>assistant<|channel|>final<|message|>hello<|return|>"
    assert ENCODING.render_detailed(TURN, training=True, loss_channels="final") == finals
    assert masked(ENCODING.render_detailed(TURN, loss_channels="finally")) == ""
    assert masked(ENCODING.render_detailed(TURN, loss_channels=())) == ""
    nowhere = said("assistant", "x")
    assert masked(ENCODING.render_detailed([nowhere], loss_channels={None})) == "<|message|>x<|end|>"
    assert masked(ENCODING.render_detailed([nowhere], loss_channels={"final"})) == ""


def test_a_prompt_has_no_loss_on_what_it_ends_with() -> None:
    rendered = ENCODING.render_detailed(TURN[:1], next_turn_role=Role.ASSISTANT)
    assert masked(rendered) == ""
    last = rendered.spans[-1]
    assert (last.message, last.part, last.role, last.channel) == (None, "header", Role.ASSISTANT, None)


def test_training_keeps_the_last_turns_thoughts() -> None:
    earlier = [
        said("user", "before"),
        said("assistant", "old", "analysis"),
        said("assistant", "yes", "final"),
    ]
    tokens = ENCODING.render_conversation_for_training([*earlier, *TURN])
    text = ENCODING.decode(tokens)
    assert ("old" in text, "think" in text, "so" in text) == (False, True, True)
    assert text.endswith("hello<|return|>")
    assert tokens.count(RETURN) == 1
    upstreams = ENCODING.decode(ENCODING.render_conversation_for_training([*earlier, *TURN], UPSTREAM))
    assert ("old" in upstreams, "think" in upstreams) == (False, True)
    assert "think" not in ENCODING.decode(ENCODING.render_conversation_for_training(TURN, UPSTREAM))


@pytest.mark.parametrize(
    ("last", "terminator"),
    [
        (said("assistant", "x", "final"), RETURN),
        (said("assistant", "x", "commentary"), END),
        (said("assistant", "x", "final", "functions.f"), CALL),
        (said("assistant", "x", "final", "all"), RETURN),
        (said("user", "x", "final"), END),
    ],
)
def test_what_ends_a_training_sample(last: Message, terminator: int) -> None:
    assert ENCODING.render_conversation_for_training([TURN[0], last])[-1] == terminator
    assert ENCODING.render_conversation([TURN[0], last])[-1] == (CALL if terminator == CALL else END)


def test_a_message_to_all_is_no_call_but_upstream() -> None:
    message = said("assistant", "x", "final", "all")
    assert ENCODING.render(message)[-1] == END
    assert ENCODING.render(message, config=UPSTREAM)[-1] == CALL


def test_header_styles() -> None:
    channel_first = RenderConfig(header_style="channel_first")
    call = said("assistant", "{}", "commentary", "functions.f")
    expected = "<|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|>"
    assert ENCODING.decode(ENCODING.render(call, config=channel_first)) == expected
    result = said("tool", "20", "commentary", "assistant")
    assert ENCODING.render(result, config=channel_first) == ENCODING.render(result)
    bare = said("assistant", "{}", None, "functions.f")
    assert ENCODING.render(bare, config=channel_first) == ENCODING.render(bare)


def test_response_formats() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    content = DeveloperContent.new().with_instructions("Be brief.")
    content.with_response_format("answer", schema, "l1\nl2").with_response_format("other", {})
    text = ENCODING.decode(ENCODING.render(Message.from_role_and_content(Role.DEVELOPER, content)))
    assert text == (
        "<|start|>developer<|message|># Instructions\n\nBe brief.\n\n# Response Formats\n\n## answer\n\n"
        '// l1\n// l2\n{"type":"object","properties":{"a":{"type":"string"}}}\n\n## other\n\n{}<|end|>'
    )


def test_there_is_one_encoding() -> None:
    assert load_harmony_encoding() is load_harmony_encoding("HarmonyGptOss") is ENCODING
    with pytest.raises(ValueError, match="Invalid HarmonyEncodingName: nope"):
        load_harmony_encoding("nope")


def test_a_configuration_is_a_value() -> None:
    assert dataclasses.replace(UPSTREAM, analysis="never") != UPSTREAM
    assert RenderConfig() == RenderConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        UPSTREAM.quirks = False  # type: ignore[misc]


PARSED = [
    "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
    "<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>",
    " to=functions.f<|channel|>commentary json<|message|>{}<|call|>",
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>hi<|return|>",
]


@pytest.mark.parametrize("completion", PARSED)
def test_parsed_messages_are_written_with_their_own_ids(completion: str) -> None:
    tokens = ENCODING.encode(completion, allowed_special="all")
    messages = ENCODING.parse(tokens, Role.ASSISTANT).messages
    prompt = ENCODING.render_conversation_for_completion([])
    assert ENCODING.render_conversation(messages, KEEP) == prompt + tokens
    continued = ENCODING.render_conversation_for_completion(messages, Role.USER, KEEP)
    assert RETURN not in continued
    canonical = ENCODING.render_conversation(messages, dataclasses.replace(KEEP, canonicalize=True))
    rebuilt = [Message.model_validate(message.model_dump()) for message in messages]
    assert canonical == ENCODING.render_conversation(rebuilt, KEEP)


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message.with_recipient("functions.g"),
        lambda message: message.with_channel("analysis"),
        lambda message: setattr(message.content[0], "text", "[]"),
        lambda message: message.adding_content("more"),
        lambda message: setattr(message.author, "name", "bob"),
        lambda message: message.content.clear(),
    ],
)
def test_a_changed_message_is_written_anew(change: Any) -> None:
    tokens = ENCODING.encode(PARSED[0], allowed_special="all")
    message = ENCODING.parse(tokens, Role.ASSISTANT).messages[0]
    change(message)
    assert message.source is None
    assert ENCODING.render(message) == ENCODING.render(Message.model_validate(message.model_dump()))
