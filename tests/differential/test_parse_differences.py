"""Where our strict parser differs from `openai-harmony` 0.0.8 on purpose: every documented row, shown."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import openai_harmony as upstream
import pytest

from harmony_py.errors import ParseError
from harmony_py.format.parse import StreamableParser, parse
from tests.token_streams import fields, ids, tokenizer, upstream_encoding

PAGE = resources.files("harmony_py").joinpath("compat", "DIFFERENCES.md").read_text(encoding="utf-8")


def theirs(tokens: list[int], role: str | None) -> list[tuple[Any, ...]] | str:
    try:
        messages = upstream_encoding().parse_messages_from_completion_tokens(
            tokens, role and upstream.Role(role)
        )
    except upstream.HarmonyError as error:
        return str(error)
    return [tuple(fields(message)) for message in messages]


def ours(tokens: list[int], role: str | None) -> list[tuple[Any, ...]] | str:
    try:
        return [tuple(fields(message)) for message in parse(tokens, role).messages]
    except ParseError as error:
        return error.reason


UNEXPECTED = "unexpected tokens remaining in message header: "
DIFFERENCES = {
    "content type without recipient": (
        ids("<|channel|>final <|constrain|>json<|message|>{}<|return|>"),
        "assistant",
        [("assistant", None, "final", "<|constrain|>json", None, "{}")],
        [("assistant", None, "final", None, "<|constrain|>json", "{}")],
    ),
    "bare content type": (
        ids("<|channel|>commentary json<|message|>{}<|end|>"),
        "assistant",
        [("assistant", None, "commentary", "json", None, "{}")],
        [("assistant", None, "commentary", None, "json", "{}")],
    ),
    "same channel twice": (
        ids("<|channel|>commentary to=functions.f<|channel|>commentary json<|message|>{}<|call|>"),
        "assistant",
        [("assistant", None, "commentary", "functions.f<|channel|>commentary", "json", "{}")],
        [("assistant", None, "commentary", "functions.f", "json", "{}")],
    ),
    "another channel": (
        ids("<|channel|>commentary to=functions.f<|channel|>analysis<|message|>{}<|call|>"),
        "assistant",
        [("assistant", None, "commentary", "functions.f<|channel|>analysis", None, "{}")],
        UNEXPECTED + 'Some("functions.f<|channel|>analysis")',
    ),
    "terminator in a header": (
        ids("<|channel|>??<|end|><|start|>assistant<|channel|>analysis<|message|>x<|end|>"),
        "assistant",
        [("assistant", None, "??", "<|end|><|start|>assistant<|channel|>analysis", None, "x")],
        UNEXPECTED + 'Some("<|end|><|start|>assistant<|channel|>analysis")',
    ),
    "prompt repeated": (
        ids("<|start|>assistant<|channel|>final<|message|>Hi.<|return|>"),
        "assistant",
        [("assistant", None, "final", "<|start|>assistant", None, "Hi.")],
        [("assistant", None, "final", None, None, "Hi.")],
    ),
    "recipient instead of role": (
        ids("<|start|>to=functions.f<|channel|>commentary<|message|>x<|end|>"),
        None,
        [("tool", "to=functions.f", "commentary", None, None, "x")],
        "message header did not contain a role",
    ),
    "Unicode space": (
        ids("<|start|>assistant\u00a0to=functions.f json<|message|>{}<|call|>"),
        None,
        [("tool", "assistant\u00a0to=functions.f", None, "json", None, "{}")],
        [("assistant", None, None, "functions.f", "json", "{}")],
    ),
    "named author": (
        ids("<|start|>user:bob<|message|>x<|end|>"),
        None,
        "Unknown role: user:bob",
        [("user", "bob", None, None, None, "x")],
    ),
    "tool without recipient": (
        ids("<|start|>functions.f<|channel|>commentary<|message|>x<|end|>"),
        None,
        "Unknown role: functions.f",
        [("tool", "functions.f", "commentary", None, None, "x")],
    ),
    "end of a prompt": (
        ids("<|start|>user<|message|>x<|end|><|start|>assistant"),
        None,
        "Unexpected EOS while waiting for message header to complete",
        [("user", None, None, None, None, "x")],
    ),
    "spelled control tokens": (
        [
            *ids("<|start|>"),
            *tokenizer.encode_ordinary("assistant<|channel|>final"),
            *ids("<|message|>x<|end|>"),
        ],
        None,
        [("assistant", None, "final", None, None, "x")],
        "Unknown role: assistant<|channel|>final",
    ),
    "id that is no token": (
        [*ids("<|channel|>final<|message|>Hi"), 300_000, *ids(" there.<|return|>")],
        "assistant",
        [("assistant", None, "final", None, None, "Hi\ufffd")],
        [("assistant", None, "final", None, None, "Hi\ufffd there.")],
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_both_do_what_the_page_says(name: str) -> None:
    tokens, role, upstreams, own = DIFFERENCES[name]
    assert theirs(tokens, role) == upstreams
    assert ours(tokens, role) == own


IN_STREAMS = {"error forgotten", "invalid bytes, streamed", "content tokens"}


def test_an_error_is_forgotten() -> None:
    tokens = ids("one two three<|message|>")
    parsers: list[Any] = [
        upstream.StreamableParser(upstream_encoding(), upstream.Role.ASSISTANT),
        StreamableParser(None, "assistant"),
    ]
    for parser in parsers:
        for token in tokens[:-1]:
            parser.process(token)
        with pytest.raises(RuntimeError):
            parser.process(tokens[-1])
    assert [parser.current_role for parser in parsers] == [upstream.Role.ASSISTANT, None]


def test_text_behind_invalid_bytes_comes_at_once() -> None:
    header = ids("<|channel|>final<|message|>")
    deltas: list[list[str | None]] = []
    for parser in (
        upstream.StreamableParser(upstream_encoding(), upstream.Role.ASSISTANT),
        StreamableParser(None, "assistant"),
    ):
        for token in header:
            parser.process(token)
        deltas.append([parser.process(token).last_content_delta for token in [9552, *ids("!"), *ids("?")]])
    assert deltas == [[" ", "\ufffd", "!?"], [" ", "\ufffd!", "?"]]


def test_content_tokens_are_those_that_came() -> None:
    tokens = [*ids("<|channel|>final<|message|>"), 71, 6053, 9552]
    parser = StreamableParser(None, "assistant")
    for token in tokens:
        parser.process(token)
    assert parser.state_data["content_tokens"] == [71, 6053]


def test_the_page_has_a_row_for_each_and_no_other() -> None:
    section = PAGE.split("## Parsing", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([^|`]+?) \|", section, re.MULTILINE)
    assert set(rows) - {"what", "---"} == set(DIFFERENCES) | IN_STREAMS
