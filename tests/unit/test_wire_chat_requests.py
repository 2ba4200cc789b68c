"""Chat completion requests: what each field becomes, and how each mistake is told."""

from __future__ import annotations

from typing import Any

import pytest

from harmony_py import Role, SystemContent, ToolNamespaceConfig, load_harmony_encoding
from harmony_py.errors import WireError
from harmony_py.wire import history
from harmony_py.wire.chat_completions import read_request, write_request
from harmony_py.wire.options import Options
from harmony_py.wire.tools import ToolChoice

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
ASKED = {"role": "user", "content": "Hi."}


def request(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-oss-20b", "messages": list(messages) or [ASKED], **fields}


def prompt(*messages: Any, **fields: Any) -> str:
    """The prompt behind the system message."""
    encoding = load_harmony_encoding()
    conversation = read_request(request(*messages, **fields)).conversation
    text = encoding.decode(encoding.render_conversation_for_completion(conversation))
    return text.partition("<|end|>")[2]


def test_system_and_developer_messages_are_the_developers_instructions() -> None:
    found = prompt(
        {"role": "system", "content": "Be brief."},
        {
            "role": "developer",
            "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}],
        },
        {"role": "user", "name": "bob", "content": "Hi."},
        {"role": "system", "content": "Now be rude."},
    )
    assert found == (
        "<|start|>developer<|message|># Instructions\n\nBe brief.\n\nBe kind.<|end|>"
        "<|start|>user:bob<|message|>Hi.<|end|>"
        "<|start|>developer<|message|># Instructions\n\nNow be rude.<|end|><|start|>assistant"
    )


def test_parallel_calls_and_their_results() -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Łódź"}'}},
        {"id": "b", "type": "function", "function": {"name": "get_time", "arguments": "not JSON"}},
    ]
    found = prompt(
        ASKED,
        {"role": "assistant", "content": "Let me look.", "reasoning_content": "Hm.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "b", "content": "12:00"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "rain"}]},
        tools=[WEATHER],
    )
    assert found.partition("Hi.<|end|>")[2] == (
        "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|>"
        "<|start|>assistant<|channel|>commentary<|message|>Let me look.<|end|>"
        "<|start|>assistant to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>"
        '{"city": "Łódź"}<|call|>'
        "<|start|>assistant to=functions.get_time<|channel|>commentary <|constrain|>json<|message|>"
        "not JSON<|call|>"
        "<|start|>functions.get_time to=assistant<|channel|>commentary<|message|>12:00<|end|>"
        "<|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>rain<|end|>"
        "<|start|>assistant"
    )


def test_what_preceded_tools_is_understood() -> None:
    found = read_request(
        request(
            ASKED,
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "get_weather", "arguments": "{}"},
            },
            {"role": "function", "name": "get_weather", "content": "rain"},
            functions=[WEATHER["function"]],
            function_call={"name": "get_weather"},
        )
    )
    assert [m.recipient for m in found.conversation.messages[-2:]] == ["functions.get_weather", "assistant"]
    assert found.conversation.messages[-1].author.name == "functions.get_weather"
    assert found.options.tool_choice == ToolChoice("required", ("functions.get_weather",))


def test_a_refusal_is_what_the_assistant_said() -> None:
    found = prompt(ASKED, {"role": "assistant", "content": None, "refusal": "No."}, ASKED)
    assert "<|start|>assistant<|channel|>final<|message|>No.<|end|>" in found


def test_tools_that_must_not_be_called_are_not_told_of() -> None:
    assert "get_weather" in prompt(tools=[WEATHER])
    assert "get_weather" not in prompt(tools=[WEATHER], tool_choice="none")
    assert [
        f.full_name for f in read_request(request(tools=[WEATHER], tool_choice="none")).options.functions
    ] == ["functions.get_weather"]


def test_the_system_message_is_the_servers_with_the_requests_effort_and_tools() -> None:
    mine = SystemContent(model_identity="You are Bob.", conversation_start_date="2026-01-02").with_tools(
        ToolNamespaceConfig.python()
    )
    found = read_request(request(reasoning_effort="xhigh", web_search_options={}), system=mine)
    [content] = found.conversation.messages[0].content
    assert isinstance(content, SystemContent)
    assert (content.model_identity, content.conversation_start_date) == ("You are Bob.", "2026-01-02")
    assert (content.reasoning_effort, found.options.effort) == ("High", "xhigh")
    assert set(content.tools or ()) == {"python", "browser"} == found.options.builtin
    assert set(mine.tools or ()) == {"python"}
    assert mine.reasoning_effort == "Medium"


def test_without_a_date_from_the_server_there_is_none() -> None:
    [content] = read_request(request()).conversation.messages[0].content
    assert isinstance(content, SystemContent)
    assert content.conversation_start_date is None


def test_a_response_format_is_told_and_kept() -> None:
    wanted = {"name": "city", "schema": {"type": "object"}, "strict": True}
    found = read_request(request(response_format={"type": "json_schema", "json_schema": wanted}))
    assert found.options.format is not None
    assert (found.options.format.schema, found.options.format.strict) == ({"type": "object"}, True)
    assert "# Response Formats\n\n## city\n\n" in prompt(
        response_format={"type": "json_schema", "json_schema": wanted}
    )
    assert read_request(request(response_format={"type": "text"})).options.format is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("required", ToolChoice("required")),
        (None, ToolChoice("auto")),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            ToolChoice("required", ("functions.get_weather",)),
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "get_weather"}}],
                },
            },
            ToolChoice("auto", ("functions.get_weather",)),
        ),
    ],
)
def test_every_form_of_tool_choice(choice: Any, expected: ToolChoice) -> None:
    assert read_request(request(tools=[WEATHER], tool_choice=choice)).options.tool_choice == expected


def test_options_that_are_not_ours_to_act_on_are_kept() -> None:
    found = read_request(request(user="u", top_k=4, max_tokens=9, max_completion_tokens=5), allow=["top_k"])
    assert found.options.other == {"user": "u", "top_k": 4}
    assert found.options.max_tokens == 5


_IMAGE = {"type": "image_url", "image_url": {"url": "data:"}}
_CALLING = {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {}}]}
MISTAKES = [
    (None, None, "invalid_type"),
    ({"model": "m"}, "messages", "invalid_value"),
    ({"messages": [ASKED]}, "model", "missing_required_parameter"),
    (request(top_k=1), "top_k", "unknown_parameter"),
    (request(temperature="1"), "temperature", "invalid_type"),
    (request(temperature=True), "temperature", "invalid_type"),
    (request(temperature=3), "temperature", "invalid_value"),
    (request(n=0), "n", "invalid_value"),
    (request(reasoning_effort="huge"), "reasoning_effort", "invalid_value"),
    (request({"role": "bot", "content": ""}), "messages[0].role", "invalid_value"),
    (request({"role": "user"}), "messages[0].content", "missing_required_parameter"),
    (request({"role": "user", "content": 1}), "messages[0].content", "invalid_type"),
    (request({"role": "user", "content": [_IMAGE]}), "messages[0].content[0].type", "unsupported_value"),
    (request({"role": "user", "content": "a\ud800"}), "messages[0].content", "invalid_value"),
    (request({**ASKED, "foo": 1}), "messages[0].foo", "unknown_parameter"),
    (request({**ASKED, "name": "a<|channel|>"}), "messages[0].name", "invalid_value"),
    (request({"role": "assistant"}), "messages[0].content", "missing_required_parameter"),
    (
        request({"role": "assistant", "content": "", "audio": {"id": "a"}}),
        "messages[0].audio",
        "unsupported_value",
    ),
    (request(_CALLING), "messages[0].tool_calls[0].type", "unsupported_value"),
    (
        request({"role": "assistant", "content": "", "reasoning": "a", "reasoning_content": "b"}),
        "messages[0].reasoning",
        "invalid_value",
    ),
    (
        request({"role": "tool", "tool_call_id": "zz", "content": ""}),
        "messages[0].tool_call_id",
        "invalid_value",
    ),
    (
        request({"role": "function", "name": "", "content": "x"}),
        "messages[0].name",
        "invalid_value",
    ),
    (request(tools=[{"type": "function"}]), "tools[0].function", "missing_required_parameter"),
    (
        request(tools=[{"type": "function", "function": {"name": "a b"}}]),
        "tools[0].function.name",
        "invalid_value",
    ),
    (request(tools=[WEATHER, WEATHER]), "tools", "invalid_value"),
    (request(tools=[{"type": "custom"}]), "tools[0].type", "unsupported_value"),
    (request(tool_choice="required"), "tool_choice", "invalid_value"),
    (
        request(tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "g"}}),
        "tool_choice",
        "invalid_value",
    ),
    (
        request(response_format={"type": "json_schema", "json_schema": {"name": "a"}}),
        "response_format.json_schema.schema",
        "missing_required_parameter",
    ),
    (request(stream_options={"include_usage": True}), "stream_options", "invalid_value"),
    (request(top_logprobs=2), "top_logprobs", "invalid_value"),
    (request(logit_bias={"a": 1}), "logit_bias.a", "invalid_value"),
    (request(logit_bias={"201088": 1}), "logit_bias.201088", "invalid_value"),
    (request(modalities=["text", "audio"]), "modalities[1]", "unsupported_value"),
]


@pytest.mark.parametrize(("wrong", "param", "code"), MISTAKES, ids=lambda value: str(value)[:60])
def test_a_mistake_is_told_in_the_apis_shape(wrong: Any, param: str | None, code: str | None) -> None:
    with pytest.raises(WireError) as caught:
        read_request(wrong)
    error = caught.value.to_dict()["error"]
    assert error == {
        "message": str(caught.value),
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }
    assert (
        param is None or param in error["message"] or param.rpartition(".")[2] in ("role", "reasoning_effort")
    )


def test_a_request_nested_without_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"a": schema}
    with pytest.raises(WireError, match="nested deeper"):
        read_request(request(response_format=schema))
    while schema:  # taking it apart here, where no recursion does it
        schema = schema["a"]


def test_a_schema_may_be_nested_but_not_too_deep() -> None:
    def nested(levels: int) -> dict[str, Any]:
        schema: dict[str, Any] = {}
        for _ in range(levels):
            schema = {"items": schema}
        tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
        return request(tools=[tool])

    # Above the schema stand the request, its tools, the tool and the function.
    conversation = read_request(nested(95)).conversation
    assert load_harmony_encoding().render_conversation(conversation)
    with pytest.raises(WireError, match="nested deeper than 100 levels"):
        read_request(nested(96))


@pytest.mark.parametrize(
    "name", ["f<|channel|>final", "a b", "user:a.b", "to=a.b", "é\x00", "functions.f to=python"]
)
def test_a_name_that_a_model_made_up_comes_back_harmless(name: str) -> None:
    function = {"name": name, "arguments": "{}"}
    spoken = {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": function}]}
    conversation = read_request(
        request(spoken, {"role": "tool", "tool_call_id": "a", "content": "x"})
    ).conversation
    called, answered = conversation.messages[1:]
    assert called.recipient == answered.author.name
    encoding = load_harmony_encoding()
    again = encoding.parse(encoding.render_conversation([called, answered]), tools=[str(called.recipient)])
    assert again.messages == [called, answered]


def test_an_answer_and_a_call_after_it_are_two_messages() -> None:
    conversation = [history.answer("Done."), history.call("functions.f", "{}")]
    written = write_request(conversation, Options(model="m"))["messages"]
    assert [message["content"] for message in written] == ["Done.", None]
    assert read_request({"model": "m", "messages": written}).conversation.messages[1:] == conversation


def test_a_long_name_above_many_values_costs_no_more_than_it_is_long() -> None:
    wrong = request(response_format={"x" * 1_000_000: list(range(100_000))})
    with pytest.raises(WireError) as caught:
        read_request(wrong)
    assert len(str(caught.value)) < 200


def test_built_in_tools_must_be_offered() -> None:
    with pytest.raises(WireError, match="not offered"):
        read_request(request(web_search_options={}), builtin={})


def test_roles_are_harmonys() -> None:
    assert [m.author.role for m in read_request(request()).conversation] == [Role.SYSTEM, Role.USER]
