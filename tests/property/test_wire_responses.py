"""Responses: streams add up to the whole response, nothing is lost, and the way there leads back."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from harmony_py import Conversation, ToolNamespaceConfig, load_harmony_encoding
from harmony_py.errors import WireError
from harmony_py.testing import strategies as streams
from harmony_py.wire import history
from harmony_py.wire.responses import (
    EventReader,
    MemoryStore,
    Past,
    Reply,
    ResponseStream,
    output,
    read_request,
    read_response,
    response,
    write_request,
)
from harmony_py.wire.tools import KNOWN_NAMESPACES, ToolNames
from harmony_py.wire.turn import Kind, Turn, kind_of
from harmony_py.wire.usage import Usage
from tests.wire_json import anything, response_requests, response_sessions, texts
from tests.wire_oracle import as_response, counting, parsed, parsed_events, replayed

if TYPE_CHECKING:
    from harmony_py.testing.tokens import Stream
    from harmony_py.wire.options import Options

STREAMS = st.one_of(
    streams.well_formed().map(lambda made: made[0]), streams.any_stream, streams.header_stream
)
TOOLS = ToolNames(frozenset({"f"}), frozenset({"browser", "python", "container"}))
STOPS = st.sampled_from(["stop", "length", "content_filter"])
ECHO = read_request({"model": "m", "input": "Hi."}).echo


def replies() -> Reply:
    return Reply("resp_1", 1_700_000_000, ECHO, TOOLS, counting())


@given(st.data(), STREAMS, STOPS)
def test_however_a_stream_is_cut_it_adds_up_to_the_whole(data: Any, tokens: list[int], stop: Any) -> None:
    result = parsed(tokens, TOOLS.full())
    whole = response(replies(), [Turn.of(result, stop)], Usage.of(7, result))
    as_response(whole)
    fed, end = parsed_events(data.draw(streams.chunks(tokens)), TOOLS.full())
    stream = ResponseStream(replies())
    events = [event for chunk in fed for event in stream.feed(chunk)]
    events += stream.finish(end, stop, Usage.of(7, result))
    as_sent = copy.deepcopy(events)
    assert replayed(events) == whole

    reader = EventReader(TOOLS)
    for event in events[:-1]:
        reader.feed(event)
    assert reader.answer().messages == read_response(whole, TOOLS).messages
    reader.feed(events[-1])
    assert reader.answer() == read_response(whole, TOOLS)
    assert events == as_sent


@given(st.data(), STREAMS, STREAMS, texts)
def test_a_response_of_several_turns_holds_what_the_servers_tools_answered(
    data: Any, first: list[int], second: list[int], text: str
) -> None:
    results = [
        history.result(name, text) for name in ("python", "container.exec", "browser.search", "functions.f")
    ]
    steps = [Turn.of(parsed(first, TOOLS.full())), *results, Turn.of(parsed(second, TOOLS.full()))]
    whole = response(replies(), steps)
    stream = ResponseStream(replies())
    fed, end = parsed_events(data.draw(streams.chunks(first)), TOOLS.full())
    events = [event for chunk in [*fed, end] for event in stream.feed(chunk)]
    events += [event for result in results for event in stream.result(result)]
    fed, end = parsed_events(data.draw(streams.chunks(second)), TOOLS.full())
    events += [event for chunk in fed for event in stream.feed(chunk)]
    assert replayed([*events, *stream.finish(end)]) == whole


@given(streams.well_formed(content=streams.decodable_tokens))
def test_logprobs_of_a_stream_are_those_of_the_whole(made: Stream) -> None:
    tokens = made.tokens
    top = {"token": "x", "logprob": -1.0, "bytes": [120]}
    entries = [
        {"token": str(token), "logprob": -float(i), "bytes": None, "top_logprobs": [top]}
        for i, token in enumerate(tokens)
    ]
    whole = response(replies(), [Turn.of(parsed(tokens, TOOLS.full()), logprobs=entries)])
    stream = ResponseStream(replies())
    fed, end = parsed_events([[token] for token in tokens], TOOLS.full())
    events = [event for chunk, entry in zip(fed, entries, strict=True) for event in stream.feed(chunk, entry)]
    events += stream.finish(end)
    assert replayed(events) == whole
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    shown = [entry["token"] for event in deltas for entry in event["logprobs"]]
    parts = [item["content"][0]["logprobs"] for item in whole["output"] if item["type"] == "message"]
    assert shown == [entry["token"] for part in parts for entry in part]


@given(STREAMS, st.text(min_size=1, max_size=5))
def test_a_response_that_fails_says_so(tokens: list[int], error: str) -> None:
    stream = ResponseStream(replies())
    fed, _ = parsed_events([tokens], TOOLS.full())
    events = [*stream.feed(fed[0]), *stream.fail(error)]
    whole = replayed(events)
    assert (whole["status"], whole["error"]["message"]) == ("failed", error)
    reader = EventReader()
    reader.feed(events[-1])
    assert reader.answer().error == error


@given(STREAMS)
def test_all_text_is_shown_but_for_what_the_documents_exclude(tokens: list[int]) -> None:
    result = parsed(tokens, TOOLS.full())
    items = iter(output(replies(), [Turn.of(result)]))
    for message in result.messages:
        kind = kind_of(message, TOOLS)
        if kind is Kind.FOREIGN:
            continue
        item = next(items)
        if item["type"] in ("message", "reasoning"):
            assert [part["text"] for part in item["content"]] == [message.text]
        elif item["type"] != "web_search_call":
            assert item.get("code", item.get("arguments")) == message.text
    assert next(items, None) is None


@given(anything)
def test_any_json_is_a_request_or_a_wire_error(value: Any) -> None:
    _understood(value)


@given(response_requests)
def test_anything_like_a_request_is_one_or_a_wire_error(value: Any) -> None:
    _understood(value)


def _understood(value: Any) -> None:
    store = MemoryStore()
    store.put(
        {"id": "resp_1", "output": [{"type": "reasoning", "id": "rs_0", "summary": [], "content": []}]},
        Past((history.thought("Hm."),)),
    )
    offered = {**KNOWN_NAMESPACES, "f": ToolNamespaceConfig(name="f", tools=[])}
    try:
        request = read_request(value, store=store, builtin=offered)
    except WireError as error:
        json.dumps(error.to_dict(), ensure_ascii=False).encode()
        return
    load_harmony_encoding().render_conversation_for_completion(request.conversation)
    as_response(response(Reply.to(request, reply_id="resp_2", created_at=1), [Turn([])]))


@given(anything)
def test_any_json_is_an_answer_or_a_wire_error(value: Any) -> None:
    for read in (read_response, EventReader().feed):
        try:
            read(value)
        except WireError as error:
            assert error.kind == "invalid_response_error"


@given(response_sessions())
def test_a_request_reads_back_as_what_was_written(session: tuple[Conversation, Options]) -> None:
    conversation, options = session
    written = write_request(conversation, options)
    again = read_request(json.loads(json.dumps(written)), system=conversation.messages[0].content[0])
    # The effort stands in the conversation too, and there it is never left open.
    assert again.options == dataclasses.replace(options, effort=options.effort or "medium")
    assert again.conversation == conversation


@given(STREAMS, texts)
def test_a_response_goes_on_the_same_by_its_id_and_by_its_items(tokens: list[int], text: str) -> None:
    """Where the items can say it all: a client that keeps none of the history has the same prompt."""
    first = read_request({"model": "m", "input": "Hi.", "tools": [{"type": "function", "name": "f"}]})
    result = parsed(tokens, first.options.tools.full())
    whole = response(Reply.to(first, reply_id="resp_1", created_at=1, new_id=counting()), [Turn.of(result)])
    store = MemoryStore()
    store.put(whole, first.past.then(result.messages, whole["output"], first.options.tools))
    calls = [item["call_id"] for item in whole["output"] if item["type"] == "function_call"]
    given_now = [{"type": "function_call_output", "call_id": each, "output": text} for each in calls]
    given_now.append({"role": "user", "content": text})
    more = {"model": "m", "tools": [{"type": "function", "name": "f"}]}
    by_id = read_request({**more, "previous_response_id": "resp_1", "input": given_now}, store=store)
    assert by_id.conversation.messages[-len(given_now) :] == list(by_id.past.turns[-len(given_now) :])
    messages = list(by_id.past.turns)
    assert messages[1 : 1 + len(result.messages)] == result.messages
    if any(not _sayable(message) for message in result.messages):
        return
    by_items = read_request(
        {**more, "input": [{"role": "user", "content": "Hi."}, *whole["output"], *given_now]}
    )
    assert [m.text for m in by_items.past.turns] == [m.text for m in messages]
    assert [m.author.name for m in by_items.past.turns][-len(given_now) :] == [
        m.author.name for m in messages[-len(given_now) :]
    ]


def _sayable(message: Any) -> bool:
    """Whether an item can name whom the message is for."""
    try:
        load_harmony_encoding().render(message)
    except Exception:
        return False
    return kind_of(message, ToolNames()) is not Kind.FOREIGN
