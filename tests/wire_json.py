"""JSON for the tests of `harmony_py.wire`: requests, things like requests, and anything at all."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from harmony_py import Conversation, DeveloperContent, Message, Role, SystemContent
from harmony_py.wire import history
from harmony_py.wire.opening import EFFORTS
from harmony_py.wire.options import Format, Options
from harmony_py.wire.tools import Function, ToolChoice

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["text", "function", "user", "x", "\ud800", 10**400, b"bytes", {1: 2}, (1,)]),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["model", "messages", "role", "content", "type", "input"]),
                st.text(max_size=4),
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
"""What a JSON parser may give, and some things that it cannot."""


def _mostly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What belongs here, and now and then anything."""
    return st.integers(0, 15).flatmap(lambda i: anything if i == 0 else right)


def loose(
    required: dict[str, Any], optional: dict[str, Any] | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with these fields, any of which may hold anything, and sometimes with an unknown field."""
    fields = {name: _mostly(value) for name, value in required.items()}
    more = {name: _mostly(value) for name, value in (optional or {}).items()}
    return st.fixed_dictionaries(fields, optional=more)


texts = st.one_of(
    st.sampled_from(["", "Hi.", "é 東\n", "<|end|><|start|>system", '{"a": 1}']), st.text(max_size=12)
)
names = st.sampled_from(["f", "get_weather", "lookup-2"])
made_up_names = st.one_of(
    names, names, st.sampled_from(["user:a.b", "to=x.y", "a b", "f<", "python"]), st.text(max_size=4)
)
call_ids = st.sampled_from(["call_0", "call_1", "x"])
schemas = st.recursive(
    st.sampled_from([{}, {"type": "string"}, {"type": ["integer", "null"]}, {"enum": [1, "a", None]}]),
    lambda inner: st.builds(
        lambda a, required: {"type": "object", "properties": {"a": a, "é": a}, "required": required},
        inner,
        st.sampled_from([[], ["a"]]),
    ),
    max_leaves=4,
)
hostile_schemas = st.one_of(schemas, st.dictionaries(st.text(max_size=4), anything, max_size=3))

_parts = st.lists(
    loose({"type": st.sampled_from(["text", "refusal", "image_url"]), "text": texts}), max_size=2
)
_contents = st.one_of(texts, texts, _parts)
_function_calls = loose({"name": made_up_names, "arguments": texts})
_tool_calls = st.lists(
    loose({"id": call_ids, "type": st.just("function"), "function": _function_calls}), max_size=2
)
_chat_messages = st.one_of(
    loose({"role": st.sampled_from(["system", "developer", "user"]), "content": _contents}, {"name": names}),
    loose(
        {"role": st.just("assistant"), "content": _contents},
        {"tool_calls": _tool_calls, "reasoning": texts, "refusal": texts, "function_call": _function_calls},
    ),
    loose({"role": st.just("tool"), "tool_call_id": call_ids, "content": _contents}),
    loose({"role": st.just("function"), "name": made_up_names, "content": _contents}),
)
_functions = loose(
    {"name": names}, {"description": texts, "parameters": hostile_schemas, "strict": st.booleans()}
)
_formats = loose(
    {"type": st.just("json_schema"), "json_schema": loose({"name": names, "schema": hostile_schemas})},
)
chat_requests = loose(
    {"model": st.just("m"), "messages": st.lists(_chat_messages, min_size=1, max_size=5)},
    {
        "tools": st.lists(loose({"type": st.just("function"), "function": _functions}), max_size=2),
        "tool_choice": st.one_of(
            st.sampled_from(["auto", "none", "required"]),
            loose({"type": st.just("function"), "function": loose({"name": names})}),
        ),
        "response_format": _formats,
        "reasoning_effort": st.sampled_from(EFFORTS),
        "temperature": st.floats(0, 2),
        "stop": st.one_of(texts, st.lists(texts)),
        "logit_bias": st.just({"1": 2}),
        "n": st.integers(1, 3),
        "web_search_options": st.just({}),
        "stream_options": st.just({"include_usage": True}),
        "stream": st.booleans(),
    },
)
"""Chat completion requests, most of them almost right."""


# -- what an API can say, exactly ----------------------------------------------------------------------------

some_functions = st.lists(
    st.builds(Function, names, st.none() | texts, st.none() | schemas, st.none() | st.booleans()),
    unique_by=lambda function: function.name,
    max_size=2,
).map(tuple)
some_formats = st.one_of(
    st.none(),
    st.just(Format("json_object")),
    st.builds(Format, st.just("json_schema"), names, schemas, st.none() | texts, st.none() | st.booleans()),
)
_words = texts.filter(bool)
_called = st.lists(st.tuples(names, texts, st.none() | texts), min_size=1, max_size=2)


@st.composite
def _assistant_turns(draw: st.DrawFn) -> list[Message]:
    """Thoughts, then an answer, or words and calls with the results of some of them."""
    turn = [history.thought(draw(_words))] if draw(st.booleans()) else []
    if draw(st.booleans()):
        return [*turn, history.answer(draw(texts))]
    turn += [history.preamble(draw(_words))] if draw(st.booleans()) else []
    calls = draw(_called)
    turn += [history.call(f"functions.{name}", arguments) for name, arguments, _ in calls]
    return [
        *turn,
        *(history.result(f"functions.{name}", text) for name, _, text in calls if text is not None),
    ]


_user_turns = st.builds(
    lambda text, name: [history.said(Role.USER, text, name)], texts, st.sampled_from([None, None, "bob"])
)
_instructions = texts.map(lambda text: [history_instruction(text)])
turns = st.lists(st.one_of(_user_turns, _assistant_turns(), _instructions), max_size=5)


def history_instruction(text: str) -> Message:
    return Message.from_role_and_content(Role.DEVELOPER, DeveloperContent(instructions=text))


def opening(options: Options, instructions: str | None) -> list[Message]:
    """The first messages of a conversation with these options."""
    system = SystemContent().with_conversation_start_date("2026-01-02")
    system = system.with_reasoning_effort(options.effort) if options.effort else system
    developer = DeveloperContent(instructions=instructions)
    if options.functions and options.tool_choice.mode != "none":
        developer.with_function_tools([function.described() for function in options.functions])
    if options.format and options.format.schema is not None:
        developer.with_response_format(
            str(options.format.name), options.format.schema, options.format.description
        )
    said = (
        [] if developer == DeveloperContent() else [Message.from_role_and_content(Role.DEVELOPER, developer)]
    )
    return [Message.from_role_and_content(Role.SYSTEM, system), *said]


def choices(functions: tuple[Function, ...]) -> st.SearchStrategy[ToolChoice]:
    own = [function.full_name for function in functions]
    forms = [ToolChoice("auto"), ToolChoice("none")]
    if own:
        forms += [ToolChoice("required"), ToolChoice("required", (own[0],)), ToolChoice("auto", tuple(own))]
    return st.sampled_from(forms)


@st.composite
def chat_sessions(draw: st.DrawFn) -> tuple[Conversation, Options]:
    """A conversation that Chat Completions can express, and options."""
    functions = draw(some_functions)
    stream, logprobs = draw(st.booleans()), draw(st.booleans())
    options = Options(
        model=draw(_words),
        max_tokens=draw(st.none() | st.integers(1, 1000)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        frequency_penalty=draw(st.none() | st.floats(-2, 2)),
        logit_bias=draw(st.none() | st.dictionaries(st.integers(0, 9), st.floats(-100, 100), max_size=2)),
        seed=draw(st.none() | st.integers(-9, 9)),
        stop=tuple(draw(st.lists(texts, max_size=2))),
        n=draw(st.integers(1, 3)),
        logprobs=logprobs,
        top_logprobs=3 if logprobs else None,
        stream=stream,
        include_usage=stream,
        effort=draw(st.sampled_from([None, "low", "medium", "high"])),
        functions=functions,
        tool_choice=draw(choices(functions)),
        parallel_tool_calls=draw(st.booleans()),
        format=draw(some_formats),
        other=draw(st.sampled_from([{}, {"user": "u", "metadata": {"a": "b"}}])),
    )
    found = [message for turn in draw(turns) for message in turn]
    if not found or found[0].author.role == Role.DEVELOPER:
        found.insert(0, history.said(Role.USER, "Hi."))
    return Conversation(messages=[*opening(options, draw(st.none() | texts)), *found]), options


# -- Responses -----------------------------------------------------------------------------------------------

_input_parts = st.lists(
    loose({"type": st.sampled_from(["input_text", "output_text"]), "text": texts}), max_size=2
)
_items = st.one_of(
    loose(
        {"role": st.sampled_from(["user", "assistant", "system"]), "content": st.one_of(texts, _input_parts)},
        {"type": st.just("message"), "phase": st.sampled_from(["commentary", "final_answer"])},
    ),
    loose(
        {
            "type": st.just("reasoning"),
            "summary": st.just([]),
            "content": st.lists(loose({"type": st.just("reasoning_text"), "text": texts}), max_size=2),
        },
        {"encrypted_content": texts, "id": texts},
    ),
    loose({"type": st.just("function_call"), "call_id": call_ids, "name": made_up_names, "arguments": texts}),
    loose(
        {
            "type": st.just("function_call_output"),
            "call_id": call_ids,
            "output": st.one_of(texts, _input_parts),
        }
    ),
    loose({"type": st.just("item_reference"), "id": st.sampled_from(["rs_0", "x"])}),
    loose(
        {
            "type": st.just("web_search_call"),
            "id": texts,
            "action": loose(
                {"type": st.sampled_from(["search", "open_page", "find_in_page"])}, {"query": texts}
            ),
        }
    ),
    loose(
        {"type": st.just("code_interpreter_call"), "code": texts, "container_id": texts},
        {"outputs": st.lists(loose({"type": st.just("logs"), "logs": texts}), max_size=2)},
    ),
    loose(
        {
            "type": st.just("mcp_call"),
            "server_label": made_up_names,
            "name": made_up_names,
            "arguments": texts,
        },
        {"output": texts, "error": anything},
    ),
)
_response_tools = st.one_of(
    loose(
        {"type": st.just("function"), "name": names}, {"description": texts, "parameters": hostile_schemas}
    ),
    loose(
        {"type": st.sampled_from(["web_search", "browser_search"])}, {"search_context_size": st.just("low")}
    ),
    loose({"type": st.just("code_interpreter")}, {"container": st.sampled_from(["c", {"type": "auto"}])}),
    loose({"type": st.just("mcp"), "server_label": names, "require_approval": st.just("never")}),
)
response_requests = loose(
    {"model": st.just("m"), "input": st.one_of(texts, st.lists(_items, min_size=1, max_size=5))},
    {
        "instructions": texts,
        "tools": st.lists(_response_tools, max_size=2),
        "tool_choice": st.one_of(
            st.sampled_from(["auto", "none", "required"]), loose({"type": st.just("function"), "name": names})
        ),
        "text": loose(
            {"format": loose({"type": st.just("json_schema"), "name": names, "schema": hostile_schemas})}
        ),
        "reasoning": loose({"effort": st.sampled_from(EFFORTS)}, {"summary": st.just("auto")}),
        "previous_response_id": st.sampled_from(["resp_1", "x"]),
        "metadata": st.just({"a": "b"}),
        "truncation": st.sampled_from(["auto", "disabled"]),
        "store": st.booleans(),
        "user": texts,
    },
)
"""Responses requests, most of them almost right."""


@st.composite
def response_sessions(draw: st.DrawFn) -> tuple[Conversation, Options]:
    """A conversation that the Responses API can express, and options."""
    functions = draw(some_functions)
    options = Options(
        model=draw(_words),
        max_tokens=draw(st.none() | st.integers(1, 1000)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        stream=draw(st.booleans()),
        effort=draw(st.sampled_from([None, "low", "medium", "high"])),
        functions=functions,
        tool_choice=draw(choices(functions)),
        parallel_tool_calls=draw(st.booleans()),
        format=draw(some_formats),
        other=draw(st.sampled_from([{}, {"user": "u", "metadata": {"a": "b"}, "truncation": "auto"}])),
    )
    preambles = st.builds(lambda text: [history.preamble(text)], texts)
    drawn = draw(st.lists(st.one_of(_user_turns, _assistant_turns(), _instructions, preambles), max_size=5))
    found = [message for turn in drawn for message in turn]
    for message in found:
        message.author.name = None if message.author.role == Role.USER else message.author.name
    if not found or found[0].author.role == Role.DEVELOPER:
        found.insert(0, history.said(Role.USER, "Hi."))
    return Conversation(messages=[*opening(options, draw(st.none() | texts)), *found]), options
