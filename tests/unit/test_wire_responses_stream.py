"""Responses: the items and events that the model's messages become, one case at a time."""

from __future__ import annotations

from typing import Any

import pytest

from harmony_py.chat import Role
from harmony_py.errors import WireError
from harmony_py.format.header import Header
from harmony_py.format.text import TextParser
from harmony_py.wire import history
from harmony_py.wire.chat_completions import ChatStream, completion
from harmony_py.wire.chat_completions import Reply as ChatReply
from harmony_py.wire.responses import (
    EventReader,
    Reply,
    ResponseStream,
    read_request,
    read_response,
    response,
)
from harmony_py.wire.tools import ToolNames
from harmony_py.wire.turn import Turn
from tests.token_streams import ids
from tests.wire_oracle import accumulated, as_api, counting, parsed, parsed_events, replayed

TOOLS = ToolNames(frozenset({"f"}), frozenset({"browser", "python", "files"}))
ECHO = read_request({"model": "m", "input": "Hi."}).echo


def reply() -> Reply:
    return Reply("resp_1", 1, ECHO, TOOLS, counting())


def events_of(text: str, *results: Any, stop: Any = "stop") -> list[dict[str, Any]]:
    stream = ResponseStream(reply())
    fed, end = parsed_events([[token] for token in ids(text)], TOOLS.full())
    events = [event for chunk in fed for event in stream.feed(chunk)]
    events += [event for result in results for event in stream.result(result)]
    events += stream.finish(end, stop)
    replayed(events)
    return events


def names(events: list[dict[str, Any]]) -> list[str]:
    """The events' names, repetitions left out."""
    short = [event["type"].removeprefix("response.") for event in events]
    return [name for i, name in enumerate(short) if name != short[i - 1]]


def test_the_order_of_events() -> None:
    events = events_of(
        "<|channel|>analysis<|message|>I think.<|end|>"
        "<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
        "<|start|>assistant<|channel|>final<|message|>Hello there.<|return|>"
    )
    assert names(events) == [
        *("created", "in_progress"),
        *("output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done"),
        *("content_part.done", "output_item.done"),
        *(
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
        ),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done"),
        "completed",
    ]
    assert events[-1]["response"]["output"] == [
        {
            "type": "reasoning",
            "status": "completed",
            "id": "rs_0",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "I think."}],
        },
        {
            "type": "function_call",
            "status": "completed",
            "id": "fc_1",
            "call_id": "call_2",
            "name": "f",
            "arguments": "{}",
        },
        {
            "type": "message",
            "status": "completed",
            "id": "msg_3",
            "role": "assistant",
            "phase": "final_answer",
            "content": [{"type": "output_text", "text": "Hello there.", "annotations": [], "logprobs": []}],
        },
    ]


def test_code_is_run_between_its_end_and_its_completion() -> None:
    events = events_of(
        "<|channel|>analysis to=python code<|message|>1 + 1<|call|>", history.result("python", "2")
    )
    assert names(events)[2:] == [
        *("output_item.added", "code_interpreter_call.in_progress", "code_interpreter_call_code.delta"),
        *("code_interpreter_call_code.done", "code_interpreter_call.interpreting"),
        *("code_interpreter_call.completed", "output_item.done", "completed"),
    ]
    [item] = events[-1]["response"]["output"]
    assert (item["code"], item["outputs"]) == ("1 + 1", [{"type": "logs", "logs": "2"}])


def test_a_search_says_from_the_first_what_is_searched_for() -> None:
    events = events_of(
        '<|channel|>analysis to=browser.search code<|message|>{"query": "é"}<|call|>'
        '<|start|>assistant<|channel|>analysis to=browser.open code<|message|>{"id": "https://a.b"}<|call|>'
        '<|start|>assistant<|channel|>analysis to=browser.find code<|message|>{"pattern": "x"}<|call|>'
        "<|start|>assistant<|channel|>analysis to=browser.search code<|message|>no JSON<|call|>"
    )
    added = [event["item"]["action"] for event in events if event["type"] == "response.output_item.added"]
    assert added == [
        {"type": "search", "query": "é", "queries": ["é"]},
        {"type": "open_page", "url": "https://a.b"},
        {"type": "find_in_page", "pattern": "x", "url": ""},
        {"type": "search", "query": "no JSON", "queries": ["no JSON"]},
    ]
    assert [item["action"] for item in events[-1]["response"]["output"]] == added


def test_a_search_for_half_a_character_can_be_sent() -> None:
    spoken = '<|channel|>analysis to=browser.search<|message|>{"query": "\\ud800"}<|call|>'
    [item] = events_of(spoken)[-1]["response"]["output"]
    assert item["action"]["query"] == '{"query": "\\ud800"}'


def test_an_mcp_call_and_its_output() -> None:
    events = events_of(
        "<|channel|>commentary to=files.read<|message|>{}<|call|>", history.result("files.read", "text")
    )
    [item] = events[-1]["response"]["output"]
    assert (item["type"], item["server_label"], item["name"], item["output"]) == (
        "mcp_call",
        "files",
        "read",
        "text",
    )
    assert read_response(events[-1]["response"]).messages == [
        history.call("files.read", "{}"),
        history.result("files.read", "text"),
    ]


def test_two_calls_of_one_tool_have_each_its_result() -> None:
    call = "<|channel|>commentary to=files.read<|message|>{}<|call|>"
    events = events_of(
        f"{call}<|start|>assistant{call}",
        history.result("files.read", "one"),
        history.result("files.read", "two"),
    )
    steps = [
        Turn.of(parsed(ids(f"{call}<|start|>assistant{call}"))),
        history.result("files.read", "one"),
        history.result("files.read", "two"),
    ]
    assert [item["output"] for item in events[-1]["response"]["output"]] == ["one", "two"]
    assert [item["output"] for item in response(reply(), steps)["output"]] == ["one", "two"]


def test_a_result_that_nothing_waits_for_says_nothing() -> None:
    stream = ResponseStream(reply())
    stream.feed([])
    assert stream.result(history.result("functions.f", "x")) == []


def test_what_is_cut_short_is_incomplete_and_what_the_engine_ended_is_not() -> None:
    thinking = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hel"
    cut = events_of(thinking, stop="length")[-1]["response"]
    assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert [item["status"] for item in cut["output"]] == ["completed", "incomplete"]
    ended = events_of(thinking)[-1]["response"]
    assert (ended["status"], ended["incomplete_details"]) == ("completed", None)
    assert [item["status"] for item in ended["output"]] == ["completed", "completed"]


def test_a_preamble_is_told_from_an_answer() -> None:
    spoken = (
        "<|channel|>commentary<|message|>Looking.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Yes.<|return|>"
    )
    whole = response(reply(), [Turn.of(parsed(ids(spoken)))])
    assert [item["phase"] for item in whole["output"]] == ["commentary", "final_answer"]
    assert [(m.channel, m.text) for m in read_response(whole).messages] == [
        ("commentary", "Looking."),
        ("final", "Yes."),
    ]


def test_a_stream_goes_on_inside_the_message_that_the_prompt_leaves_open() -> None:
    stream = ResponseStream(reply(), header=Header(Role.ASSISTANT, channel="final"))
    [events], end = parsed_events([ids("<|channel|>final<|message|>Hi.<|return|>")])
    whole = replayed([*stream.feed(events[1:]), *stream.finish(end)])
    assert whole["output"][0]["content"][0]["text"] == "Hi."


def test_a_stream_that_breaks_off_is_read_as_far_as_it_came() -> None:
    events = events_of("<|channel|>commentary to=functions.f<|message|>{}<|call|>")
    reader = EventReader()
    for event in events[:4]:
        reader.feed(event)
    answer = reader.answer()
    assert [(m.recipient, m.text) for m in answer.messages] == [("functions.f", "{}")]
    assert answer.status is None


def test_a_server_in_trouble_is_quoted() -> None:
    with pytest.raises(WireError, match=r"The server says: Out of memory\."):
        EventReader().feed({"type": "error", "message": "Out of memory.", "code": None, "sequence_number": 0})


def test_a_response_with_items_and_fields_of_a_servers_own() -> None:
    found = read_response(
        {
            "status": "completed",
            "output": [
                {"type": "file_search_call", "id": "x"},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hi.", "mood": "good"}],
                },
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}", "mood": "good"},
            ],
            "usage": {
                "input_tokens": 1,
                "output_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 1},
            },
        }
    )
    assert [(m.recipient, m.text) for m in found.messages] == [(None, "Hi."), ("functions.f", "{}")]
    assert found.usage == (1, 2, 1, 0)


def test_events_of_an_engine_that_gives_text_do_as_well() -> None:
    spoken = (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>"
    )
    parser = TextParser("assistant")
    stream = ChatStream(ChatReply("chatcmpl_1", "m", 1))
    chunks = [chunk for character in spoken for chunk in stream.feed(parser.feed(character))]
    chunks += stream.finish(parser.finish())
    whole = as_api(completion(ChatReply("chatcmpl_1", "m", 1), [Turn.of(parsed(ids(spoken)))]))
    [found] = accumulated(chunks)["choices"]
    assert found["message"]["content"] == whole["choices"][0]["message"]["content"] == "Yes."
    assert found["message"]["reasoning"] == "Hm."
