"""Chat completions: streams add up to the whole answer, nothing is lost, and the way there leads back."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from harmony_py import Conversation, Role, load_harmony_encoding
from harmony_py.errors import WireError
from harmony_py.format.parse import StreamableParser
from harmony_py.testing import strategies as streams
from harmony_py.testing.tokens import Stream, ids
from harmony_py.wire.chat_completions import (
    ChatStream,
    ChunkReader,
    Reply,
    completion,
    read_completion,
    read_request,
    write_request,
)
from harmony_py.wire.tools import ToolNames
from harmony_py.wire.turn import Kind, Turn, kind_of
from harmony_py.wire.usage import Usage
from tests.wire_json import anything, chat_requests, chat_sessions
from tests.wire_oracle import accumulated, as_api, counting, parsed, parsed_events

if TYPE_CHECKING:
    from harmony_py.wire.options import Options

STREAMS = st.one_of(
    streams.well_formed().map(lambda made: made[0]), streams.any_stream, streams.header_stream
)
TOOLS = ToolNames(frozenset({"f"}), frozenset({"browser"}))
STOPS = st.sampled_from(["stop", "length", "content_filter"])


def replies(**more: Any) -> Reply:
    return Reply("chatcmpl_1", "gpt-oss-20b", 1_700_000_000, TOOLS, counting(), **more)


def stream_of(reply: Reply, chunks: list[list[int]], stop: Any) -> list[dict[str, Any]]:
    stream = ChatStream(reply)
    fed, end = parsed_events(chunks, TOOLS.full())
    made = [chunk for events in fed for chunk in stream.feed(events)]
    return [*made, *stream.finish(end, stop)]


@given(st.data(), STREAMS, STOPS, st.sampled_from(["content", "reasoning"]))
def test_however_a_stream_is_cut_it_adds_up_to_the_whole(
    data: Any, tokens: Any, stop: Any, where: Any
) -> None:
    whole = completion(replies(preambles=where), [Turn.of(parsed(tokens, TOOLS.full()), stop)])
    chunks = stream_of(replies(preambles=where), data.draw(streams.chunks(tokens)), stop)
    expected = as_api(whole)
    found = accumulated(chunks)
    expected["choices"][0]["message"].pop("refusal")
    if expected["choices"][0]["message"]["content"] is None:
        del expected["choices"][0]["message"]["content"]
    assert without_nulls(found) == without_nulls(expected)

    reader = ChunkReader(TOOLS)
    for chunk in chunks:
        reader.feed(chunk)
    assert reader.answer() == read_completion(whole, TOOLS)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@given(STREAMS)
def test_all_text_is_shown_but_for_what_the_documents_exclude(tokens: list[int]) -> None:
    result = parsed(tokens, TOOLS.full())
    [choice] = completion(replies(), [Turn.of(result)])["choices"]
    message = choice["message"]
    shown = {
        Kind.REASONING: message.get("reasoning") or "",
        Kind.PREAMBLE: message["content"] or "",
        Kind.ANSWER: message["content"] or "",
    }
    calls = list(message.get("tool_calls", []))
    for each in result.messages:
        kind = kind_of(each, TOOLS)
        if kind is Kind.CALL:
            function = calls.pop(0)["function"]
            assert function["arguments"] == each.text
            assert TOOLS.to_model(function["name"]) in (each.recipient, f"functions.{each.recipient}")
        elif kind in shown:
            assert each.text in shown[kind]
    assert calls == []
    assert message.get("reasoning") == message.get("reasoning_content")


@given(streams.well_formed(content=streams.decodable_tokens))
def test_logprobs_of_a_stream_are_those_of_the_content(made: Stream) -> None:
    tokens = made.tokens
    reply = replies()
    entries = [
        {"token": str(t), "logprob": -float(i), "bytes": None, "top_logprobs": []}
        for i, t in enumerate(tokens)
    ]
    parser = StreamableParser(None, "assistant", policy="recover", tools=TOOLS.full())
    stream = ChatStream(reply)
    chunks = [
        c
        for token, entry in zip(tokens, entries, strict=True)
        for c in stream.feed(parser.feed(token), entry)
    ]
    chunks += [*stream.finish(parser.finish())]
    whole = as_api(completion(reply, [Turn.of(parsed(tokens, TOOLS.full()), logprobs=entries)]))
    found = accumulated(chunks)["choices"][0].get("logprobs") or {"content": []}
    assert found["content"] == whole["choices"][0]["logprobs"]["content"]


@given(STREAMS, st.integers(0, 1000), st.integers(0, 1000))
def test_every_token_is_counted_once(tokens: list[int], prompt: int, cached: int) -> None:
    result = parsed(tokens)
    usage = Usage.of(prompt, result, cached=cached)
    assert usage.sampled == len(tokens)
    thoughts = [m for m in result.messages if kind_of(m, TOOLS) is Kind.REASONING]
    assert (usage.reasoning > 0) == any(m.text for m in thoughts)
    assert usage.plus(usage).sampled == 2 * len(tokens)
    answer = completion(replies(), [Turn.of(result)], usage)
    assert as_api(answer)["usage"]["total_tokens"] == prompt + len(tokens)


@given(anything)
def test_any_json_is_a_request_or_a_wire_error(value: Any) -> None:
    _understood(value)


@given(chat_requests)
def test_anything_like_a_request_is_one_or_a_wire_error(value: Any) -> None:
    _understood(value)


def _understood(value: Any) -> None:
    try:
        request = read_request(value)
    except WireError as error:
        told = error.to_dict()["error"]
        assert told["type"] == "invalid_request_error"
        assert told["param"] is None or isinstance(told["param"], str)
        json.dumps(told, ensure_ascii=False).encode()
        return
    tokens = load_harmony_encoding().render_conversation_for_completion(request.conversation)
    assert tokens[-2:] == ids("<|start|>assistant")


@given(anything)
def test_any_json_is_an_answer_or_a_wire_error(value: Any) -> None:
    for read in (read_completion, ChunkReader().feed):
        try:
            read(value)
        except WireError as error:
            assert error.kind == "invalid_response_error"


@given(chat_sessions())
def test_a_request_reads_back_as_what_was_written(session: tuple[Conversation, Options]) -> None:
    conversation, options = session
    written = write_request(conversation, options)
    again = read_request(json.loads(json.dumps(written)), system=conversation.messages[0].content[0])
    # The effort stands in the conversation too, and there it is never left open.
    assert again.options == dataclasses.replace(options, effort=options.effort or "medium")
    assert again.conversation == conversation


@given(streams.well_formed(content=streams.decodable_tokens))
def test_an_answer_goes_on_as_a_conversation(made: Stream) -> None:
    result = parsed(made[0], TOOLS.full())
    answer = read_completion(completion(replies(), [Turn.of(result)]), TOOLS)
    texts = [m.text for m in result.messages if kind_of(m, TOOLS) is Kind.CALL]
    assert [m.text for m in answer.messages if m.is_tool_call] == texts
    assert all(m.author.role == Role.ASSISTANT for m in answer.messages)
