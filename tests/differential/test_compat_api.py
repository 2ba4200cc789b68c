"""The drop-in's names, signatures, dictionaries and errors, beside those of `openai-harmony` 0.0.8."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import openai_harmony as upstream
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from harmony_py.compat import openai_harmony as ours
from harmony_py.testing.strategies import flat_conversations, flat_messages

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARIES = [upstream, ours]
ENCODINGS = {library.__name__: library.load_harmony_encoding("HarmonyGptOss") for library in LIBRARIES}
MODELS = [
    *(
        "Author",
        "Content",
        "TextContent",
        "SystemContent",
        "DeveloperContent",
        "ToolDescription",
        "ChannelConfig",
    ),
    *("ToolNamespaceConfig", "Message", "Conversation", "RenderConversationConfig", "RenderOptions"),
]
ENUMS = ["Role", "ReasoningEffort", "StreamState", "HarmonyEncodingName"]
OTHERS = ["HarmonyEncoding", "StreamableParser", "HarmonyError"]
FUNCTIONS = ["load_harmony_encoding", "raise_disallowed_special_token"]

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


WRONG_TYPE = {"AttributeError", "TypeError", "ValidationError"}


def encoding_of(library: Any) -> Any:
    return ENCODINGS[library.__name__]


def outcomes(action: Callable[[Any], Any]) -> list[tuple[str, Any]]:
    """What `action` gives with either library: a value, or the kind of error."""
    found = []
    for library in LIBRARIES:
        try:
            found.append(("value", action(library)))
        except Exception as error:
            kind = "HarmonyError" if isinstance(error, library.HarmonyError) else type(error).__name__
            found.append(("error", kind))
    return found


def test_every_public_name_is_there() -> None:
    assert set(upstream.__all__) | {*MODELS, *ENUMS, *OTHERS, *FUNCTIONS} <= set(ours.__all__)


@pytest.mark.parametrize("name", [*MODELS, *ENUMS, *OTHERS])
def test_every_method_is_there_and_takes_what_it_took(name: str) -> None:
    theirs, mine = getattr(upstream, name), getattr(ours, name)
    members = [member for member in vars(theirs) if not member.startswith("_") and member != "model_config"]
    missing = [member for member in members if not hasattr(mine, member)]
    assert [each for each in missing if each not in getattr(theirs, "model_fields", {})] == []
    for member in members:
        if inspect.isfunction(getattr(theirs, member, None)) or inspect.ismethod(
            getattr(theirs, member, None)
        ):
            expected = inspect.signature(getattr(theirs, member)).parameters
            found = inspect.signature(getattr(mine, member)).parameters
            for parameter in expected.values():
                assert parameter.name in found, f"{name}.{member} has no {parameter.name}"
                assert found[parameter.name].kind is parameter.kind
                has_default = parameter.default is not inspect.Parameter.empty
                assert not has_default or found[parameter.name].default is not inspect.Parameter.empty


@pytest.mark.parametrize("name", MODELS)
def test_fields_and_defaults(name: str) -> None:
    theirs: type[BaseModel] = getattr(upstream, name)
    mine: type[BaseModel] = getattr(ours, name)
    assert set(theirs.model_fields) <= set(mine.model_fields)
    for field, expected in theirs.model_fields.items():
        found = mine.model_fields[field]
        if not (name == "ToolDescription" and field == "description"):
            assert found.is_required() == expected.is_required()
        if not expected.is_required():
            assert plain(found.get_default(call_default_factory=True)) == plain(
                expected.get_default(call_default_factory=True)
            )


def plain(value: Any) -> Any:
    """Equal for a model and its counterpart."""
    return value.model_dump() if isinstance(value, BaseModel) else value


@pytest.mark.parametrize("name", ENUMS)
def test_enums(name: str) -> None:
    theirs, mine = getattr(upstream, name), getattr(ours, name)
    assert {each.name: each.value for each in theirs} == {each.name: each.value for each in mine}
    assert [str(each) for each in theirs] == [str(each) for each in mine]


@given(flat_conversations)
def test_dictionaries_and_json_are_the_same(flat: list[dict[str, Any]]) -> None:
    payload = json.dumps({"messages": flat})
    theirs, mine = upstream.Conversation.from_json(payload), ours.Conversation.from_json(payload)
    assert theirs.to_dict() == mine.to_dict()
    assert json.loads(theirs.to_json()) == json.loads(mine.to_json())
    assert [message.author.role.value for message in mine] == [message["role"] for message in flat]
    assert ours.Conversation.from_json(mine.to_json()) == mine


@given(flat_messages())
def test_messages_survive_every_way_of_dumping(flat: dict[str, Any]) -> None:
    message = ours.Message.from_dict(flat)
    assert ours.Message.from_dict(message.to_dict()) == message
    assert ours.Message.model_validate(message.model_dump()) == message
    assert ours.Message.model_validate(message.model_dump(mode="json")) == message
    assert ours.Message.model_validate_json(message.model_dump_json()) == message
    assert ours.Message.model_validate(message.to_dict()) == message


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("role", "name", "content", "channel"), json_like)))
def test_dictionaries_that_are_no_messages_raise_alike(data: dict[str, Any]) -> None:
    if isinstance(data.get("content"), list):
        data = {**data, "content": [each for each in data["content"] if isinstance(each, dict)]}
    theirs, mine = outcomes(lambda library: library.Message.from_dict(data).to_dict())
    if theirs[0] == "error":
        assert mine[0] == "error"
        assert mine[1] == theirs[1] or {mine[1], theirs[1]} <= WRONG_TYPE
    elif isinstance(data.get("channel"), str | None):  # there it is set after validation: anything goes
        assert mine == theirs


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda library: library.Role("bot"), "Unknown role: 'bot'"),
        (lambda library: library.load_harmony_encoding("nope"), "Invalid HarmonyEncodingName: nope"),
        (
            lambda library: library.Message.from_dict({"role": "user", "content": [{"type": "image"}]}),
            "Unknown content variant: {'type': 'image'}",
        ),
        (
            lambda library: library.Conversation.from_messages([library.SystemContent.new()]),
            "Input should be a valid dictionary or instance of Message",
        ),
        (
            lambda library: encoding_of(library).render(library.Message(author={"role": "tool"})),
            "Tools should have a name!",
        ),
        (
            lambda library: encoding_of(library).render(
                library.Message.from_role_and_content("user", library.DeveloperContent.new())
            ),
            "DeveloperContent may only appear in developer messages, found in User",
        ),
        (
            lambda library: encoding_of(library).render(
                library.Message.from_role_and_content("developer", library.SystemContent.new())
            ),
            "SystemContent may only appear in system messages, found in Developer",
        ),
        (lambda library: encoding_of(library).decode([99999999]), "Invalid token for decoding: 99999999"),
        (
            lambda library: encoding_of(library).decode_utf8([99999999]),
            "Could not decode tokens: Invalid token error: Invalid token for decoding: 99999999",
        ),
        (lambda library: encoding_of(library).decode_utf8([9552]), "Invalid utf-8"),
        (
            lambda library: library.raise_disallowed_special_token("<|x|>"),
            "Encountered text corresponding to disallowed special token '<|x|>'.\n",
        ),
    ],
)
def test_errors_say_the_same(action: Callable[[Any], Any], message: str) -> None:
    for library in LIBRARIES:
        with pytest.raises((ValueError, RuntimeError)) as caught:
            action(library)
        assert message in str(caught.value)


ENCODE_CALLS: list[Callable[[Any], Any]] = [
    lambda e: e.encode("<|start|>", allowed_special="all"),
    lambda e: e.encode("<|start|>", allowed_special=["<|start|>", "unknown"]),
    lambda e: e.encode("<|start|>", disallowed_special=()),
    lambda e: e.encode("<|start|>", allowed_special={"<|start|>"}, disallowed_special={"<|start|>"}),
    lambda e: e.encode("abc", disallowed_special={"b"}),
    lambda e: e.encode("<|endofprompt|>", allowed_special="all"),
    lambda e: e.encode("<|endofprompt|>"),
    lambda e: e.encode("<|reserved_200018|>", allowed_special="all"),
    lambda e: e.encode("x\ud800"),
    lambda e: e.encode("\ud83d\ude00"),
    lambda e: e.encode(5),
    lambda e: e.decode([9552]),
    lambda e: e.decode([9552], errors="strict"),
    lambda e: e.decode([-1]),
    lambda e: e.decode([2**40]),
    lambda e: e.decode(["a"]),
    lambda e: e.decode(None),
    lambda e: e.decode((72, 101)),
    lambda e: e.decode_utf8([72]),
    lambda e: e.special_tokens_set,
    lambda e: sorted(e.stop_tokens()),
    lambda e: sorted(e.stop_tokens_for_assistant_actions()),
    lambda e: [e.is_special_token(token) for token in (0, 199997, 199998, 201088, 201089, 2**31)],
    lambda e: e.is_special_token(-1),
    lambda e: e.is_special_token(2**32),
    lambda e: e.is_special_token("a"),
    lambda e: e.name,
]


@pytest.mark.parametrize("index", range(len(ENCODE_CALLS)))
def test_text_in_and_out(index: int) -> None:
    theirs, mine = outcomes(lambda library: ENCODE_CALLS[index](encoding_of(library)))
    assert theirs == mine


def test_builders_change_and_return_the_same_object() -> None:
    message = ours.Message.from_role_and_contents(ours.Role.ASSISTANT, [ours.TextContent(text="a")])
    built = message.adding_content("b").with_channel("final").with_recipient("all").with_content_type("json")
    assert built is message
    assert [part.text for part in message.content] == ["a", "b"]
    assert (message.channel, message.recipient, message.content_type) == ("final", "all", "json")
    system = ours.SystemContent.new()
    assert system.with_python_tool().with_browser_tool().with_required_channels(["final"]) is system
    assert list(system.tools or {}) == ["python", "browser"]
    developer = ours.DeveloperContent.new().with_function_tools([ours.ToolDescription.new("f", "")])
    developer.with_function_tools([ours.ToolDescription.new("g", "")])
    assert [tool.name for tool in (developer.tools or {})["functions"].tools] == ["g"]
    developer.add_function_tools([ours.ToolDescription.new("h", ""), ours.ToolDescription.new("g", "new")])
    assert [tool.name for tool in (developer.tools or {})["functions"].tools] == ["g", "h"]


def test_what_hosts_do() -> None:
    message = ours.Message(
        author={"role": "tool", "name": "functions.f"},
        content=[{"type": "text", "text": "20"}],
        recipient=ours.Role.ASSISTANT,
        channel="commentary",
    )
    theirs = upstream.Message.from_author_and_content(
        upstream.Author.new(upstream.Role.TOOL, "functions.f"), "20"
    )
    theirs.with_recipient(upstream.Role.ASSISTANT).with_channel("commentary")
    assert encoding_of(ours).render(message) == encoding_of(upstream).render(theirs)
    message.recipient = ours.Role.ASSISTANT
    assert encoding_of(ours).render(message) == encoding_of(upstream).render(theirs)
    named = ours.Message.from_author_and_content({"role": "user", "name": "bob"}, "x")  # type: ignore[arg-type]
    assert named.author == ours.Author(role=ours.Role.USER, name="bob")
    with pytest.raises(ValidationError):
        ours.Message.from_role_and_content("bot", "x")  # type: ignore[arg-type]


@given(flat_conversations, st.booleans(), st.booleans())
def test_every_render_method(flat: list[dict[str, Any]], drops: bool, has_tools: bool) -> None:
    def render_all(library: Any) -> list[list[int]]:
        encoding = encoding_of(library)
        conversation = library.Conversation.from_json(json.dumps({"messages": flat}))
        config = library.RenderConversationConfig(auto_drop_analysis=drops)
        options = library.RenderOptions(conversation_has_function_tools=has_tools)
        return [
            encoding.render_conversation(conversation),
            encoding.render_conversation(conversation, config=config),
            encoding.render_conversation_for_training(conversation, config=config),
            encoding.render_conversation_for_completion(conversation, library.Role.ASSISTANT, config=config),
            *(encoding.render(message, render_options=options) for message in conversation),
            *(encoding.render(message) for message in conversation),
        ]

    assert render_all(ours) == render_all(upstream)


def test_parsed_messages_render_as_upstreams_do() -> None:
    tokens = encoding_of(upstream).encode(
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>", allowed_special="all"
    )
    found = []
    for library in LIBRARIES:
        encoding = encoding_of(library)
        messages = encoding.parse_messages_from_completion_tokens(tokens, library.Role.ASSISTANT)
        found.append(encoding.render_conversation(library.Conversation.from_messages(messages)))
    assert found[0] == found[1]
