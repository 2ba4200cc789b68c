"""Responses requests: what each item and field becomes, and how each mistake is told."""

from __future__ import annotations

from typing import Any

import pytest

from harmony_py import Role, ToolDescription, ToolNamespaceConfig, load_harmony_encoding
from harmony_py.errors import WireError
from harmony_py.wire import history
from harmony_py.wire.responses import MemoryStore, Past, Reply, read_request, response
from harmony_py.wire.tools import KNOWN_NAMESPACES, ToolChoice
from harmony_py.wire.turn import Turn
from tests.token_streams import ids
from tests.wire_oracle import as_response, counting, parsed

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": True}
FILES = ToolNamespaceConfig(
    name="files", tools=[ToolDescription.new("read", "Reads."), ToolDescription.new("write", "Writes.")]
)
OFFERED = {**KNOWN_NAMESPACES, "files": FILES}


def asked(given: Any = "Hi.", **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-oss-20b", "input": given, **fields}


def prompt(given: Any, **fields: Any) -> str:
    """The prompt behind the system message."""
    encoding = load_harmony_encoding()
    conversation = read_request(asked(given, **fields), builtin=OFFERED).conversation
    text = encoding.decode(encoding.render_conversation_for_completion(conversation))
    return text.partition("<|end|>")[2]


def test_every_kind_of_item() -> None:
    found = prompt(
        [
            {"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look."}]},
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "Hm."}],
            },
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "phase": "commentary",
                "content": [{"type": "output_text", "text": "Looking.", "annotations": [], "logprobs": []}],
            },
            {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "get_weather", "arguments": "{}"},
            {
                "type": "function_call_output",
                "call_id": "a",
                "output": [{"type": "input_text", "text": "rain"}],
            },
            {
                "type": "web_search_call",
                "id": "ws_1",
                "action": {"type": "search", "query": "é"},
                "status": "completed",
            },
            {
                "type": "code_interpreter_call",
                "id": "ci_1",
                "code": "1 + 1",
                "container_id": "c",
                "outputs": [{"type": "logs", "logs": "2"}],
                "status": "completed",
            },
            {"type": "mcp_list_tools", "id": "x", "server_label": "files", "tools": []},
            {
                "type": "mcp_call",
                "id": "m",
                "server_label": "files",
                "name": "read",
                "arguments": "{}",
                "output": "text",
            },
            {"role": "assistant", "content": "Rain."},
        ],
        instructions="Be brief.",
        tools=[WEATHER],
    )
    assert found.startswith(
        "<|start|>developer<|message|># Instructions\n\nBe brief.\n\nBe kind.\n\n# Tools\n\n"
    )
    assert found.partition("<|end|>")[2] == (
        "<|start|>user<|message|>Look.<|end|>"
        "<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|>"
        "<|start|>assistant<|channel|>commentary<|message|>Looking.<|end|>"
        "<|start|>assistant to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>"
        "{}<|call|>"
        "<|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>rain<|end|>"
        '<|start|>assistant to=browser.search<|channel|>analysis code<|message|>{"query": "é"}<|call|>'
        "<|start|>assistant to=python<|channel|>analysis code<|message|>1 + 1<|call|>"
        "<|start|>python to=assistant<|channel|>analysis<|message|>2<|end|>"
        "<|start|>assistant to=files.read<|channel|>commentary <|constrain|>json<|message|>{}<|call|>"
        "<|start|>files.read to=assistant<|channel|>commentary<|message|>text<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Rain.<|end|><|start|>assistant"
    )


def test_a_reasoning_item_with_a_summary_alone_is_told_by_that() -> None:
    summary = [{"type": "summary_text", "text": "In short."}]
    found = read_request(asked([{"type": "reasoning", "summary": summary, "encrypted_content": "x"}]))
    assert [m.text for m in found.past.turns] == ["In short."]


def test_tools_that_the_server_runs() -> None:
    found = read_request(
        asked(
            tools=[
                WEATHER,
                {"type": "web_search"},
                {"type": "code_interpreter", "container": {"type": "auto"}},
                {
                    "type": "mcp",
                    "server_label": "files",
                    "require_approval": "never",
                    "allowed_tools": ["read"],
                },
            ],
            tool_choice={"type": "mcp", "server_label": "files"},
        ),
        builtin=OFFERED,
    )
    tools = found.conversation.messages[0].content[0].tools  # type: ignore[union-attr]
    assert tools is not None
    assert set(tools) == {"browser", "python", "files"} == found.options.builtin
    assert [tool.name for tool in tools["files"].tools] == ["read"]
    assert found.options.tool_choice == ToolChoice("required", ("files",))
    assert [function.strict for function in found.options.functions] == [True]
    repeated = as_response(response(Reply.to(found, reply_id="resp_1", created_at=1), [Turn([])]))
    assert [tool["type"] for tool in repeated["tools"]] == [
        "function",
        "web_search",
        "code_interpreter",
        "mcp",
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", ToolChoice("none")),
        ({"type": "function", "name": "get_weather"}, ToolChoice("required", ("functions.get_weather",))),
        ({"type": "web_search_preview"}, ToolChoice("required", ("browser",))),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "get_weather"}],
            },
            ToolChoice("required", ("functions.get_weather",)),
        ),
    ],
)
def test_every_form_of_tool_choice_and_its_repetition(choice: Any, expected: ToolChoice) -> None:
    found = read_request(asked(tools=[WEATHER, {"type": "web_search"}], tool_choice=choice))
    assert found.options.tool_choice == expected
    again = response(Reply.to(found, reply_id="resp_1", created_at=1), [Turn([])])["tool_choice"]
    assert (
        read_request(asked(tools=[WEATHER, {"type": "web_search"}], tool_choice=again)).options.tool_choice
        == expected
    )


def test_a_response_goes_on_by_its_id_without_its_instructions() -> None:
    first = read_request(asked("Weather?", instructions="Be brief.", tools=[WEATHER]))
    spoken = (
        "<|channel|>analysis<|message|>Hm.<|end|>"
        "<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>{}<|call|>"
    )
    result = parsed(ids(spoken))
    made = response(Reply.to(first, reply_id="resp_1", created_at=1, new_id=counting()), [Turn.of(result)])
    store = MemoryStore()
    store.put(made, first.past.then(result.messages, made["output"], first.options.tools))
    answer = {"type": "function_call_output", "call_id": made["output"][1]["call_id"], "output": "rain"}
    second = read_request(asked([answer], previous_response_id="resp_1", tools=[WEATHER]), store=store)
    assert [(m.author.role, m.text) for m in second.past.turns] == [
        (Role.USER, "Weather?"),
        (Role.ASSISTANT, "Hm."),
        (Role.ASSISTANT, "{}"),
        (Role.TOOL, "rain"),
    ]
    assert second.past.turns[-1].author.name == "functions.get_weather"
    assert "Be brief." not in str(second.conversation)
    assert second.echo["previous_response_id"] == "resp_1"
    referred = read_request(asked([{"type": "item_reference", "id": made["output"][0]["id"]}]), store=store)
    assert [m.text for m in referred.past.turns] == ["Hm."]


def test_a_store_forgets_what_was_used_longest_ago() -> None:
    store = MemoryStore(limit=2)
    for name in ("a", "b"):
        store.put({"id": name, "output": [{"id": f"item_{name}"}]}, Past((history.thought(name),)))
    assert store.past("a") is not None
    store.put({"id": "c", "output": []}, Past())
    assert store.past("b") is None
    assert store.item("item_b") is None
    assert store.item("item_a") == {"id": "item_a"}
    assert store.response("c") == {"id": "c", "output": []}
    assert store.forget("a")
    assert not store.forget("a")
    assert store.item("item_a") is None


def test_logprobs_are_wanted_where_they_are_included() -> None:
    found = read_request(asked(include=["message.output_text.logprobs"], top_logprobs=3))
    assert (found.options.logprobs, found.options.top_logprobs) == (True, 3)
    assert not read_request(asked(include=["reasoning.encrypted_content"])).options.logprobs


def test_whether_to_store_is_the_clients_to_say() -> None:
    assert read_request(asked()).store
    assert not read_request(asked(store=False)).store


MISTAKES = [
    ({"model": "m"}, "input", "missing_required_parameter"),
    ({"input": "Hi."}, "model", "missing_required_parameter"),
    (asked([]), "input", "invalid_value"),
    (asked(3), "input", "invalid_type"),
    (asked(foo=1), "foo", "unknown_parameter"),
    (asked([{"type": "computer_call"}]), "input[0].type", "unsupported_value"),
    (
        asked([{"role": "user", "content": [{"type": "input_image"}]}]),
        "input[0].content[0].type",
        "unsupported_value",
    ),
    (asked([{"role": "tool", "content": "x"}]), "input[0].role", "invalid_value"),
    (
        asked([{"type": "function_call_output", "call_id": "a", "output": ""}]),
        "input[0].call_id",
        "invalid_value",
    ),
    (asked([{"type": "item_reference", "id": "a"}]), "input[0].id", "invalid_value"),
    (
        asked([{"type": "reasoning", "summary": [], "encrypted_content": "x"}]),
        "input[0].encrypted_content",
        "unsupported_value",
    ),
    (asked(previous_response_id="a"), "previous_response_id", "previous_response_not_found"),
    (asked(tools=[{"type": "file_search"}]), "tools[0].type", "unsupported_value"),
    (
        asked(tools=[{"type": "web_search", "filters": {"allowed_domains": ["a"]}}]),
        "tools[0].filters",
        "unsupported_value",
    ),
    (asked(tools=[{"type": "mcp", "server_label": "other"}]), "tools[0].server_label", "unsupported_value"),
    (
        asked(tools=[{"type": "mcp", "server_label": "files"}]),
        "tools[0].require_approval",
        "unsupported_value",
    ),
    (
        asked(
            tools=[
                {
                    "type": "mcp",
                    "server_label": "files",
                    "require_approval": "never",
                    "authorization": "secret",
                }
            ]
        ),
        "tools[0].authorization",
        "unsupported_value",
    ),
    (asked(tools=[{**WEATHER, "name": "a.b"}]), "tools[0].name", "invalid_value"),
    (
        asked(text={"format": {"type": "json_schema", "name": "a"}}),
        "text.format.schema",
        "missing_required_parameter",
    ),
    (asked(reasoning={"effort": "huge"}), "reasoning.effort", "invalid_value"),
    (asked(background=True), "background", "unsupported_value"),
    (asked(include="x"), "include", "invalid_type"),
    (asked(metadata={"a": 1}), "metadata", "invalid_type"),
    (asked(max_output_tokens=0), "max_output_tokens", "invalid_value"),
]


@pytest.mark.parametrize(("wrong", "param", "code"), MISTAKES, ids=lambda value: str(value)[:60])
def test_a_mistake_is_told_in_the_apis_shape(wrong: Any, param: str, code: str) -> None:
    with pytest.raises(WireError) as caught:
        read_request(wrong, builtin=OFFERED)
    error = caught.value.to_dict()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert "secret" not in error["message"]
