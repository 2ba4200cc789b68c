"""Our strict parser beside `openai-harmony` 0.0.8, message by message and token by token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import openai_harmony as upstream
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.errors import ParseError
from harmony_py.format.parse import StreamableParser, parse
from harmony_py.testing.strategies import decodable_tokens, header_stream, well_formed
from harmony_py.tokenizer.special import START
from tests.token_streams import Fields, fields, upstream_encoding

if TYPE_CHECKING:
    from harmony_py.testing.tokens import Stream


class Outcome(NamedTuple):
    messages: list[Fields]
    """Those that were complete before the error, if there is one."""
    error: str | None


def upstream_parse(tokens: list[int], role: str | None) -> Outcome:
    parser = upstream.StreamableParser(upstream_encoding(), role and upstream.Role(role))
    error = None
    try:
        for token in tokens:
            parser.process(token)
        parser.process_eos()
    except upstream.HarmonyError as problem:
        error = str(problem)
    return Outcome([fields(message) for message in parser.messages], error)


def our_parse(tokens: list[int], role: str | None) -> Outcome:
    try:
        return Outcome([fields(message) for message in parse(tokens, role).messages], None)
    except ParseError as problem:
        return Outcome([fields(message) for message in problem.messages], problem.reason)


@given(well_formed())
def test_messages_are_upstreams_on_well_formed_streams(case: Stream) -> None:
    tokens, role, _ = case
    theirs = upstream_parse(tokens, role)
    assert theirs.error is None
    if not any(map(misread, theirs.messages)):
        assert our_parse(tokens, role) == theirs


@given(well_formed(decodable_tokens))
def test_every_property_is_upstreams_after_every_token(case: Stream) -> None:
    tokens, role, _ = case
    ours = StreamableParser(None, role)
    theirs = upstream.StreamableParser(upstream_encoding(), role and upstream.Role(role))
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
    # Theirs are encoded anew from the text, ours are those that came.
    data.pop("content_tokens", None)
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


def accepted_by_design(theirs: Outcome, ours: Outcome) -> bool:
    """Whether upstream refuses what we document that we accept; we may still refuse what follows."""
    if theirs.error is None:
        return False
    if theirs.error.startswith("Unexpected EOS"):
        return ours.error is None  # the end of a prompt
    return bool(
        re.match(r"Unknown role: (\w*\.[\w.]*|python)$", theirs.error)  # a tool's own message
        or "<|channel|>" in theirs.error  # the same channel marker twice
    )


@given(header_stream, st.sampled_from(["assistant", None]))
def test_malformed_streams_are_refused_where_upstream_does(tokens: list[int], role: str | None) -> None:
    ours = our_parse(tokens, role)
    # Tokens that begin with a `<|start|>` of their own name their role themselves.
    theirs = upstream_parse(tokens, None if tokens[:1] == [START] else role)
    if any(map(misread, theirs.messages)):
        return
    assert ours == theirs or accepted_by_design(theirs, ours)
