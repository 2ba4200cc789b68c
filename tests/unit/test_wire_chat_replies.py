"""Chat completions: what the model's messages become, one case at a time."""

from __future__ import annotations

from typing import Any

import pytest

from harmony_py.chat import Role
from harmony_py.errors import WireError
from harmony_py.format.header import Header
from harmony_py.wire import history
from harmony_py.wire.chat_completions import (
    ChatStream,
    ChunkReader,
    Reply,
    completion,
    read_completion,
    read_request,
)
from harmony_py.wire.tools import ToolNames
from harmony_py.wire.turn import Turn
from harmony_py.wire.usage import Usage
from tests.token_streams import ids
from tests.wire_oracle import accumulated, as_api, counting, parsed, parsed_events

TOOLS = ToolNames(frozenset({"f", "g"}), frozenset({"browser"}))


def reply(**more: Any) -> Reply:
    return Reply("chatcmpl_1", "m", 1, TOOLS, counting(), **more)


def choice(text: str, stop: Any = "stop", **more: Any) -> dict[str, Any]:
    result = parsed(ids(text), TOOLS.full())
    answer = completion(reply(**more), [Turn.of(result, stop)], Usage.of(3, result))
    as_api(answer)
    return dict(answer["choices"][0])


@pytest.mark.parametrize("type_", [" <|constrain|>json", "<|constrain|>json", " json", " code"])
def test_an_answer_in_json_is_no_call_to_a_tool_named_json(type_: str) -> None:
    found = choice(f"<|channel|>final{type_}<|message|>{{}}<|return|>")
    assert found["message"] == {"role": "assistant", "content": "{}", "refusal": None}
    assert found["finish_reason"] == "stop"


def test_thoughts_preamble_and_parallel_calls() -> None:
    found = choice(
        "<|channel|>analysis<|message|>Hm.<|end|>"
        "<|start|>assistant<|channel|>commentary<|message|>Let me look.<|end|>"
        "<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
        "<|start|>assistant to=functions.g<|channel|>commentary json<|message|>[broken<|call|>"
    )
    assert found == {
        "index": 0,
        "finish_reason": "tool_calls",
        "logprobs": None,
        "message": {
            "role": "assistant",
            "content": "Let me look.",
            "refusal": None,
            "reasoning": "Hm.",
            "reasoning_content": "Hm.",
            "tool_calls": [
                {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "call_1", "type": "function", "function": {"name": "g", "arguments": "[broken"}},
            ],
        },
    }


def test_a_call_cut_short_is_shown_as_far_as_it_came() -> None:
    found = choice('<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": ', "length")
    assert found["finish_reason"] == "length"
    assert found["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a": '}


def test_a_tools_result_that_the_model_made_up_is_not_shown() -> None:
    found = choice(
        "<|channel|>commentary to=functions.f<|message|>{}<|call|>"
        "<|start|>functions.f to=assistant<|channel|>commentary<|message|>20<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Hi.<|return|>"
    )
    assert found["message"]["content"] == "Hi."
    assert len(found["message"]["tool_calls"]) == 1


def test_calls_that_the_server_answers_are_not_shown_and_those_to_unknown_tools_are() -> None:
    server = choice("<|channel|>analysis to=browser.search<|message|>{}<|call|>")
    assert "tool_calls" not in server["message"]
    assert server["finish_reason"] == "stop"
    unknown = choice("<|channel|>analysis to=container.exec<|message|>{}<|call|>")
    assert unknown["message"]["tool_calls"][0]["function"]["name"] == "container.exec"


def test_what_is_on_no_channel_is_for_the_user() -> None:
    assert choice("I can't help with that.<|end|>")["message"]["content"] == "I can't help with that."


def test_preambles_leave_the_content_alone_where_a_format_was_asked_for() -> None:
    asked = read_request(
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Hi."}],
            "response_format": {"type": "json_object"},
        }
    )
    spoken = (
        "<|channel|>commentary<|message|>Here.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>{}<|return|>"
    )
    made = Reply.to(asked.options, reply_id="chatcmpl_1", created=1)
    [found] = completion(made, [Turn.of(parsed(ids(spoken)))])["choices"]
    assert found["message"]["content"] == "{}"
    assert found["message"]["reasoning"] == "Here."
    assert choice(spoken)["message"]["content"] == "Here.\n\n{}"


def test_the_fields_of_thoughts_are_a_choice() -> None:
    thinking = "<|channel|>analysis<|message|>Hm.<|end|>"
    assert "reasoning" not in choice(thinking, reasoning_fields=("reasoning_content",))["message"]
    assert choice(thinking, reasoning_fields=())["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
    }


def test_a_stream_goes_on_inside_the_message_that_the_prompt_leaves_open() -> None:
    stream = ChatStream(reply(), header=Header(Role.ASSISTANT, channel="final"))
    events, _ = parsed_events([ids("<|channel|>final<|message|>Hi.")])
    chunks = [*stream.feed(events[0][1:]), *stream.finish((), "length")]
    found = accumulated(chunks)["choices"][0]
    assert (found["message"]["content"], found["finish_reason"]) == ("Hi.", "length")


def test_several_choices_share_a_stream_and_the_last_tells_the_usage() -> None:
    shared = reply(include_usage=True)
    chunks = []
    results = [parsed(ids(f"<|channel|>final<|message|>{text}<|return|>")) for text in ("One.", "Two.")]
    for index, text in enumerate(("One.", "Two.")):
        stream = ChatStream(shared, index)
        events, end = parsed_events([ids(f"<|channel|>final<|message|>{text}<|return|>")])
        usage = Usage.of(5, results[0]).plus(Usage.of(5, results[1])) if index else None
        chunks += [*stream.feed(events[0]), *stream.finish(end, "stop", usage)]
    found = accumulated(chunks)
    assert [each["message"]["content"] for each in found["choices"]] == ["One.", "Two."]
    assert chunks[-1]["choices"] == []
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert found["usage"]["completion_tokens"] == 12
    assert found["usage"]["prompt_tokens"] == 5


def test_messages_that_share_a_field_stand_apart_in_streams_too() -> None:
    spoken = (
        "<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>analysis<|message|>Two.<|end|>"
        "<|start|>assistant<|channel|>commentary<|message|>Three.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Four.<|return|>"
    )
    stream = ChatStream(reply())
    fed, end = parsed_events([[token] for token in ids(spoken)])
    chunks = [chunk for events in fed for chunk in stream.feed(events)]
    found = accumulated([*chunks, *stream.finish(end)])["choices"][0]["message"]
    assert (found["reasoning"], found["content"]) == ("One.\n\nTwo.", "Three.\n\nFour.")
    whole = choice(spoken)["message"]
    assert (whole["reasoning"], whole["content"]) == (found["reasoning"], found["content"])


def test_reasoning_tokens_are_those_of_the_thoughts_text() -> None:
    spoken = (
        "<|channel|>analysis<|message|>One two.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Yes.<|return|>"
    )
    usage = Usage.of(7, parsed(ids(spoken)), cached=2)
    assert usage == (7, len(ids(spoken)), len(ids("One two.")), 2)


@pytest.mark.parametrize(
    ("recipient", "name"),
    [
        ("functions.f", "f"),
        ("functions.unknown", "unknown"),
        ("functions.python", "functions.python"),
        ("functions.a.b", "functions.a.b"),
        ("functions.", "functions."),
        ("container.exec", "container.exec"),
        ("python", "python"),
    ],
)
def test_a_tools_name_leads_back_to_it(recipient: str, name: str) -> None:
    assert TOOLS.to_client(recipient) == name
    assert TOOLS.to_model(name) == recipient


def test_a_declared_function_may_be_called_like_a_built_in_tool() -> None:
    tools = ToolNames(frozenset({"python"}))
    assert tools.to_client("functions.python") == "python"
    assert tools.to_model("python") == "functions.python"


def test_a_choice_of_several_turns_is_one_message() -> None:
    first = "<|channel|>analysis to=browser.search code<|message|>{}<|call|>"
    second = (
        "<|channel|>analysis<|message|>Found.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Yes.<|return|>"
    )
    stream = ChatStream(reply())
    chunks = []
    for text in (first, second):
        events, end = parsed_events([ids(text)], TOOLS.full())
        chunks += [*stream.feed(events[0]), *stream.feed(end)]
    found = accumulated([*chunks, *stream.finish()])["choices"][0]
    messages = [
        *parsed(ids(first)).messages,
        history.result("browser.search", "page"),
        *parsed(ids(second)).messages,
    ]
    [whole] = completion(reply(), [Turn(messages)])["choices"]
    assert found["message"]["content"] == whole["message"]["content"] == "Yes."
    assert found["message"]["reasoning"] == whole["message"]["reasoning"] == "Found."


# -- answers of other servers --------------------------------------------------------------------------------


def test_an_answer_with_fields_of_some_servers_own() -> None:
    answer = {
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "stop_reason": 200012,
                "message": {
                    "role": "assistant",
                    "content": "",
                    "reasoning": "Hm.",
                    "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
                    "token_ids": None,
                },
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "queue_time": 0.1},
    }
    found = read_completion(answer)
    assert [(m.channel, m.recipient, m.text) for m in found.messages] == [
        ("analysis", None, "Hm."),
        ("commentary", "functions.f", "{}"),
    ]
    assert found.usage == Usage(3, 4, 0, 0)


def test_chunks_without_index_and_with_names_repeated() -> None:
    reader = ChunkReader()
    for call in (
        {"id": "a", "function": {"name": "f", "arguments": ""}},
        {"function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "function": {"name": "g", "arguments": "[]"}},
    ):
        reader.feed({"choices": [{"delta": {"tool_calls": [call]}}]})
    assert [(m.recipient, m.text) for m in reader.answer().messages] == [
        ("functions.f", "{}"),
        ("functions.g", "[]"),
    ]
    assert reader.answer().finish_reason is None


@pytest.mark.parametrize("error", [{"message": "Out of memory.", "code": 500}, "Out of memory."])
def test_a_server_in_trouble_is_quoted(error: Any) -> None:
    reader = ChunkReader()
    reader.feed({"choices": [{"delta": {"content": "Hel"}}]})
    for read in (read_completion, reader.feed):
        with pytest.raises(WireError, match=r"The server says: Out of memory\.") as caught:
            read({"error": error})
        assert caught.value.kind == "invalid_response_error"
    assert [m.text for m in reader.answer().messages] == ["Hel"]


def test_a_server_that_answers_nonsense_is_blamed() -> None:
    with pytest.raises(WireError) as caught:
        read_completion({"choices": [{"message": {"content": 3}}]})
    assert caught.value.param == "choices[0].message.content"
    assert caught.value.kind == "invalid_response_error"
