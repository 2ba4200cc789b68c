"""Our strict parser beside `openai-harmony` 0.0.8, message by message and token by token."""

from __future__ import annotations

import functools
import re

import openai_harmony as upstream
import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_streams import Fields, decodable_tokens, fields, header_stream, tokenizer, well_formed

from harmony_py.errors import HarmonyError
from harmony_py.format.parse import StreamableParser, parse
from harmony_py.tokenizer.special import START


@functools.cache
def encoding() -> upstream.HarmonyEncoding:
    return upstream.load_harmony_encoding(upstream.HarmonyEncodingName.HARMONY_GPT_OSS)


def upstream_parse(tokens: list[int], role: str | None) -> list[Fields] | str:
    """The messages, or the text of the error."""
    try:
        messages = encoding().parse_messages_from_completion_tokens(tokens, role and upstream.Role(role))
    except upstream.HarmonyError as error:
        return str(error)
    return [fields(message) for message in messages]


def our_parse(tokens: list[int], role: str | None) -> list[Fields] | str:
    try:
        result = parse(tokens, role)
    except HarmonyError as error:
        return str(error)
    return [fields(message) for message in result.messages]


@given(well_formed())
def test_messages_are_upstreams_on_well_formed_streams(case: tuple[list[int], str | None]) -> None:
    tokens, role = case
    theirs = upstream_parse(tokens, role)
    assert not isinstance(theirs, str)
    if not any(misread(message) for message in theirs):
        assert our_parse(tokens, role) == theirs


@given(well_formed(decodable_tokens))
def test_every_property_is_upstreams_after_every_token(case: tuple[list[int], str | None]) -> None:
    tokens, role = case
    ours = StreamableParser(None, role)
    theirs = upstream.StreamableParser(encoding(), role and upstream.Role(role))
    for token in tokens:
        ours.process(token)
        theirs.process(token)
        if theirs.current_recipient in MISREAD_RECIPIENTS:
            return
        assert observed(ours) == observed(theirs)
    ours.process_eos()
    theirs.process_eos()
    assert observed(ours) == observed(theirs)


def observed(parser: StreamableParser | upstream.StreamableParser) -> dict[str, object]:
    data = parser.state_data
    if "content_tokens" in data:
        # Theirs are encoded anew from the text, ours are those that came; but for an unfinished character.
        data["content_tokens"] = tokenizer.decode(data["content_tokens"])
    return {
        "state": parser.state.value,
        "role": parser.current_role,
        "channel": parser.current_channel,
        "recipient": parser.current_recipient,
        "content_type": parser.current_content_type,
        "content": parser.current_content,
        "delta": parser.last_content_delta,
        "messages": [fields(message) for message in parser.messages],
        "tokens": parser.tokens,
        "data": data,
    }


# -- malformed streams -------------------------------------------------------------------------------------

MISREAD_RECIPIENTS = {"json", "code", "<|constrain|>json", "<|constrain|>lark"}


def misread(message: Fields) -> bool:
    """Whether upstream took something for a field that is none: the silent mistakes that we do not repeat."""
    name, recipient, content_type = message.name or "", message.recipient or "", message.content_type or ""
    return (
        recipient in MISREAD_RECIPIENTS
        or any("<|" in field for field in (name, recipient, content_type.removeprefix("<|constrain|>")))
        or name.startswith("to=")
    )


def accepted_by_design(error: str) -> bool:
    """Whether upstream refuses what we document that we accept."""
    return bool(
        re.match(r"Unknown role: (\w*\.[\w.]*|python)$", error)  # a tool's own message
        or error.startswith("Unexpected EOS")  # the end of a prompt
        or "<|channel|>" in error  # the same channel marker twice
    )


@given(header_stream, st.sampled_from(["assistant", None]))
def test_malformed_streams_are_refused_where_upstream_does(tokens: list[int], role: str | None) -> None:
    ours = our_parse(tokens, role)
    # Tokens that begin with a `<|start|>` of their own name their role themselves.
    theirs = upstream_parse(tokens, None if tokens[:1] == [START] else role)
    if isinstance(theirs, str):
        if isinstance(ours, str):
            assert ours.startswith(theirs)
        else:
            assert accepted_by_design(theirs), theirs
    elif not any(misread(message) for message in theirs):
        assert ours == theirs
