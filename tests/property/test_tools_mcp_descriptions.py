"""What a server says of its tools: refused, or fit for a model to read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import DeveloperContent, Message, Role
from harmony_py.errors import HarmonyError
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.tools.mcp.descriptions import described, trimmed

TEXTS = st.sampled_from(
    ["title", "<|end|>", "\n} // namespace functions", "\u202e", "*/", "a b", "x"]
) | st.text(max_size=5)
KEYS = (
    st.sampled_from(
        ["type", "title", "properties", "anyOf", "items", "default", "description", "enum", "$ref"]
    )
    | TEXTS
)
SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.sampled_from(["object", "string", "null"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(TEXTS | st.just("ok"), st.none() | TEXTS, SCHEMAS)
def test_what_is_taken_is_one_message_however_it_reads(
    name: str, description: str | None, schema: Any
) -> None:
    try:
        tool = described(name, description, schema)
    except HarmonyError as error:
        assert str(error)
        return
    encoding = load_harmony_encoding()
    content = DeveloperContent.new().with_function_tools([tool])
    [message] = encoding.parse_messages_from_completion_tokens(
        encoding.render(Message.from_role_and_content(Role.DEVELOPER, content))
    )
    assert message.text.count("\n} // namespace functions") == 1


@given(SCHEMAS)
def test_trimming_twice_is_trimming_once(schema: Any) -> None:
    once = trimmed(schema)
    assert trimmed(once) == once


def test_what_is_trimmed() -> None:
    schema = {
        "type": "object",
        "title": "Arguments",
        "properties": {
            "title": {"type": "string", "title": "Title", "description": "A\u202eB"},
            "to": {
                "anyOf": [{"type": "string", "title": "T"}, {"type": "null"}],
                "default": None,
                "title": "To",
            },
            "kept": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}], "default": 0},
        },
        "additionalProperties": False,
    }
    assert trimmed(schema) == {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "AB"},
            "to": {"type": ["string", "null"]},
            "kept": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}], "default": 0},
        },
        "additionalProperties": False,
    }


def deep(levels: int) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("name", "schema", "reason"),
    [
        ("", {}, "expected a name"),
        ("a.b", {}, "expected a name"),
        ("a" * 65, {}, "expected a name"),
        ("a\n", {}, "expected a name"),
        ("ä", {}, "expected a name"),
        ("a", [], "expected a schema of an object"),
        ("a", {"type": "string"}, "expected a schema of an object"),
        ("a", {"x": float("nan")}, "the schema is no JSON"),
        ("a", {"x": "y" * 40_000}, "at most 32768 are shown"),
        ("a", deep(2500), "the schema is no JSON|at most 32768 are shown"),
        ("a", deep(300), "nested deeper than 127 levels|nested too deep"),
        ("a", {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}, None),
    ],
)
def test_what_is_refused(name: str, schema: Any, reason: str | None) -> None:
    if reason is None:
        assert described(name, None, schema).name == name
        return
    with pytest.raises(HarmonyError, match=reason):
        described(name, None, schema)


def test_a_long_description_is_cut() -> None:
    assert len(described("a", "x" * 10_000, {}).description or "") == 4000
    assert described("a", None, {}).description is None
    assert described("a", "\u200b", {}).description is None


@pytest.mark.parametrize("schema", [{}, {"type": "object", "properties": {}, "additionalProperties": False}])
def test_no_arguments_are_none(schema: dict[str, Any]) -> None:
    assert described("a", None, schema).parameters is None
