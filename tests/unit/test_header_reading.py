"""Headers to fields, and back."""

from __future__ import annotations

import pytest

from harmony_py.chat import Role
from harmony_py.format.header import Header, HeaderError, mark, read, spell, token_texts, write
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import CHANNEL, LAST_RESERVED, SPECIAL_TOKENS, START_OF_TEXT
from tests.token_streams import ids

ASSISTANT = Role.ASSISTANT


def read_text(text: str, role: Role | None = None, tools: frozenset[str] = frozenset()) -> Header:
    return read(tuple(ids(text)), role, tools)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("user", Header(Role.USER)),
        (" user ", Header(Role.USER)),
        ("user:bob", Header(Role.USER, "bob")),
        ("assistant<|channel|>final", Header(ASSISTANT, channel="final")),
        ("assistant to=f<|channel|>final", Header(ASSISTANT, None, "f", "final")),
        ("assistant<|channel|>final to=f", Header(ASSISTANT, None, "f", "final", None, "channel_first")),
        (
            "assistant<|channel|>final<|constrain|>json",
            Header(ASSISTANT, None, None, "final", "<|constrain|>json"),
        ),
        (
            "assistant to=f <|constrain|>json<|channel|>a",
            Header(ASSISTANT, None, "f", "a", "<|constrain|>json"),
        ),
        ("assistant<|channel|>a f json", Header(ASSISTANT, None, "f", "a", "json", "channel_first")),
        ("assistant\u00a0to=f\u202fjson", Header(ASSISTANT, None, "f", None, "json")),
        ("functions.f to=assistant", Header(Role.TOOL, "functions.f", "assistant")),
        ("functions.f", Header(Role.TOOL, "functions.f")),
        ("tool to=x", Header(Role.TOOL, "tool", "x")),
        ("python", Header(Role.TOOL, "python")),
    ],
)
def test_well_formed(text: str, header: Header) -> None:
    assert read_text(text) == header


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "message header did not contain a role"),
        ("to=functions.f", "message header did not contain a role"),
        ("bot", "Unknown role: bot"),
        ("assistant<|channel|>", "channel marker present but no channel value found in header"),
        ("assistant to=f to=g", 'unexpected tokens remaining in message header: Some("to=f")'),
        ("assistant<|channel|>a to=f<|channel|>b", "unexpected tokens remaining in message header"),
        ("assistant <|end|>", 'unexpected tokens remaining in message header: Some("<|end|>")'),
        ("<|start|>assistant", "Unknown role: <|start|>assistant"),
    ],
)
def test_malformed(text: str, reason: str) -> None:
    with pytest.raises(HeaderError) as caught:
        read_text(text)
    assert str(caught.value).startswith(reason)


def test_a_known_tool_needs_no_namespace() -> None:
    assert read_text("bash", tools=frozenset({"bash"})) == Header(Role.TOOL, "bash")


@pytest.mark.parametrize("tokens", [(9552,), (173781, 9552), (300_000,), (173781, -1)])
def test_what_cannot_be_decoded_is_no_header(tokens: tuple[int, ...]) -> None:
    with pytest.raises(HeaderError, match="could not decode header"):
        read(tokens, None)


def test_spelled_control_tokens_are_none() -> None:
    """Ordinary tokens that spell a marker make words; `openai-harmony` takes them for the marker."""
    spelled = Tokenizer.o200k_harmony().encode_ordinary("assistant<|channel|>final")
    with pytest.raises(HeaderError, match="Unknown role: assistant"):
        read(tuple(spelled), None)
    spelled = Tokenizer.o200k_harmony().encode_ordinary("assistant to=f<|channel|>final")
    with pytest.raises(HeaderError, match="unexpected tokens remaining in message header"):
        read(tuple(spelled), None)


def test_every_control_token_has_a_mark_that_no_text_holds() -> None:
    marks = [mark(token) for token in range(START_OF_TEXT, LAST_RESERVED + 1)]
    assert len(set(marks)) == len(marks) == len(set(SPECIAL_TOKENS.values()))
    for character in marks:
        with pytest.raises(UnicodeEncodeError):
            character.encode()
    assert spell(f"a{mark(CHANNEL)}b") == "a<|channel|>b"


def test_texts_of_tokens_add_up_to_their_text() -> None:
    tokens = [*ids("<|channel|>a 👨‍👩‍👧"), 9552, *ids("<|end|>b"), 300_000, 9552]
    texts = token_texts(tokens)
    assert len(texts) == len(tokens)
    assert spell("".join(texts)) == "<|channel|>a 👨‍👩‍👧 \ufffd<|end|>b\ufffd \ufffd"


@pytest.mark.parametrize(
    "text",
    [
        "<|start|>user:bob<|message|>",
        "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>",
        "<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>",
        "<|start|>functions.f to=assistant<|channel|>commentary<|message|>",
        "<|start|>assistant<|channel|>analysis to=python code<|message|>",
    ],
)
def test_writing_is_the_reverse_of_reading(text: str) -> None:
    header = read(tuple(ids(text)[1:-1]), None)
    tokens, _ = Tokenizer.o200k_harmony().encode_segments(write(header))
    assert tokens == ids(text)
