"""What holds of every parse, of well-formed streams and of any others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from harmony_py.errors import ParseError
from harmony_py.format.decode import to_text
from harmony_py.format.events import CODES, ContentDelta, Diagnostic, MessageEnd, MessageStart
from harmony_py.format.parse import ParseResult, StreamableParser, parse
from harmony_py.testing.strategies import any_stream, chunks, decodable_tokens, roles, well_formed
from tests.token_streams import fields, joined

if TYPE_CHECKING:
    from harmony_py.testing.tokens import Stream


def check_spans(tokens: list[int], result: ParseResult) -> None:
    """The spans are the tokens, in order, none missing and none twice."""
    assert [i for span in result.spans for i in range(span.start, span.end)] == list(range(len(tokens)))
    assert all(span.start < span.end for span in result.spans)


@given(any_stream, roles)
def test_recovery_takes_any_ints_and_every_token_is_in_one_span(tokens: list[int], role: str | None) -> None:
    result = parse(tokens, role, policy="recover")
    check_spans(tokens, result)
    for diagnostic in result.diagnostics:
        assert diagnostic.code in CODES
        assert 0 <= diagnostic.span[0] <= diagnostic.span[1] <= len(tokens)


@given(any_stream, roles)
def test_recovered_text_is_the_text_of_its_span(tokens: list[int], role: str | None) -> None:
    result = parse(tokens, role, policy="recover")
    contents = {span.message: span for span in result.spans if span.part == "content"}
    for index, message in enumerate(result.messages):
        span = contents.get(index)
        whole = to_text(tokens[span.start : span.end]) if span else ""
        # One space may separate the content from a header without `<|message|>`.
        assert message.text in (whole, whole.removeprefix(" "))


@given(st.data(), any_stream, roles)
def test_events_do_not_depend_on_how_tokens_come_in(
    data: st.DataObject, tokens: list[int], role: str | None
) -> None:
    whole = StreamableParser(None, role, policy="recover")
    single = StreamableParser(None, role, policy="recover")
    cut = StreamableParser(None, role, policy="recover")
    expected = joined([*whole.feed(tokens), *whole.finish()])
    one_by_one = [event for token in tokens for event in single.feed(token)]
    in_chunks = [event for chunk in data.draw(chunks(tokens)) for event in cut.feed(chunk)]
    assert joined([*one_by_one, *single.finish()]) == expected
    assert joined([*in_chunks, *cut.finish()]) == expected


@given(any_stream, roles)
def test_events_tell_what_the_result_does(tokens: list[int], role: str | None) -> None:
    parser = StreamableParser(None, role, policy="recover")
    events = [*parser.feed(tokens), *parser.finish()]
    result = parse(tokens, role, policy="recover")
    starts = [event for event in events if isinstance(event, MessageStart)]
    ends = [event for event in events if isinstance(event, MessageEnd)]
    assert [event.message for event in ends] == result.messages == parser.messages
    assert [event for event in events if isinstance(event, Diagnostic)] == result.diagnostics
    assert parser.spans == result.spans
    assert parser.pending == result.pending
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        deltas = [e.text for e in events if isinstance(e, ContentDelta) and e.message_index == index]
        assert "".join(deltas) == end.message.text
        header = start.header
        assert fields(end.message)[:5] == (
            header.role.value,
            header.name,
            header.channel,
            header.recipient,
            header.content_type,
        )


@given(any_stream, roles)
def test_process_and_its_properties_agree_with_feed(tokens: list[int], role: str | None) -> None:
    parser = StreamableParser(None, role, policy="recover")
    fed = StreamableParser(None, role, policy="recover")
    for token in tokens:
        parser.process(token)
        before = len(fed.messages)
        events = fed.feed(token)
        assert parser.current_content == fed.current_content
        assert parser.last_content_delta == fed.last_content_delta
        assert parser.messages == fed.messages
        if len(fed.messages) == before and parser.last_content_delta is not None:
            assert parser.last_content_delta == "".join(e.text for e in events if isinstance(e, ContentDelta))
    parser.process_eos().process_eos()
    assert parser.messages == parse(tokens, role, policy="recover").messages


@given(st.data(), any_stream, roles)
def test_a_chunk_gives_at_once_all_the_text_that_it_completes(
    data: st.DataObject, tokens: list[int], role: str | None
) -> None:
    cut = StreamableParser(None, role, policy="recover")
    single = StreamableParser(None, role, policy="recover")
    given_out = expected = ""
    for chunk in data.draw(chunks(tokens)):
        given_out += "".join(event.text for event in cut.feed(chunk) if isinstance(event, ContentDelta))
        for token in chunk:
            expected += "".join(e.text for e in single.feed(token) if isinstance(e, ContentDelta))
        assert given_out == expected


@given(any_stream, roles, st.integers(1, 4))
def test_feed_and_process_may_take_turns(tokens: list[int], role: str | None, every: int) -> None:
    mixed = StreamableParser(None, role, policy="recover")
    for index, token in enumerate(tokens):
        if index % every:
            mixed.feed(token)
        else:
            mixed.process(token)
    mixed.finish()
    assert mixed.messages == parse(tokens, role, policy="recover").messages


@given(any_stream, roles)
def test_polling_does_not_change_what_is_parsed(tokens: list[int], role: str | None) -> None:
    silent = StreamableParser(None, role, policy="recover")
    polled = StreamableParser(None, role, policy="recover")
    for i, token in enumerate(tokens):
        silent.process(token)
        polled.process(token)
        if i % 3 == 0:
            assert (polled.last_content_delta, polled.current_content) == (
                polled.last_content_delta,
                polled.current_content,
            )
    assert silent.last_content_delta == polled.last_content_delta
    assert silent.current_content == polled.current_content


@given(well_formed(named=True))
def test_both_policies_agree_on_well_formed_streams(case: Stream) -> None:
    tokens, role, _ = case
    strict = parse(tokens, role)
    recovered = parse(tokens, role, policy="recover")
    assert strict.messages == recovered.messages
    assert strict.spans == recovered.spans
    assert {d.code for d in recovered.diagnostics} <= {"hallucinated_tool_result"}
    assert [m.source for m in strict.messages] == [m.source for m in recovered.messages]
    check_spans(tokens, strict)


@given(any_stream, roles)
def test_a_strict_error_says_where_and_strict_spans_are_the_tokens(
    tokens: list[int], role: str | None
) -> None:
    tokens = [token for token in tokens if 0 <= token < 2**32]
    error = None
    try:
        check_spans(tokens, parse(tokens, role))
    except ParseError as problem:
        error = problem
    if error is not None:
        assert error.token == ([*tokens, None])[error.token_index]
        assert error.expected
        assert str(error).startswith(error.reason)


@given(well_formed(named=True))
def test_a_source_holds_exactly_the_tokens_of_its_message(case: Stream) -> None:
    tokens, role, _ = case
    result = parse(tokens, role)
    sources = [message.source for message in result.messages]
    together = [token for source in sources if source for token in source.tokens]
    expected = tokens if role is None else [200006, 173781, *tokens]
    assert together == expected


@given(well_formed(decodable_tokens))
def test_strict_events_do_not_depend_on_how_tokens_come_in(case: Stream) -> None:
    tokens, role, _ = case
    whole = StreamableParser(None, role)
    single = StreamableParser(None, role)
    expected = joined([*whole.feed(tokens), *whole.finish()])
    assert joined([*[e for token in tokens for e in single.feed(token)], *single.finish()]) == expected
