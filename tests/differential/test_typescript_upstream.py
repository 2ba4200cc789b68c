"""Schemas to TypeScript, against `openai-harmony` 0.0.8."""

from __future__ import annotations

import functools
import json
from typing import Any

import openai_harmony as upstream
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import ToolDescription
from harmony_py.chat.typescript import SchemaStyle, declaration
from harmony_py.testing.strategies import json_schemas, lossless_schemas, odd_schemas


def ours(parameters: dict[str, Any], style: SchemaStyle) -> str:
    return declaration(ToolDescription(name="f", parameters=parameters), style)


@functools.cache
def their_encoding() -> upstream.HarmonyEncoding:
    return upstream.load_harmony_encoding("HarmonyGptOss")


def theirs(parameters: dict[str, Any]) -> str:
    encoding = their_encoding()
    tool = upstream.ToolDescription.new("f", "", parameters)
    content = upstream.DeveloperContent.new().with_function_tools([tool])
    message = upstream.Message.from_role_and_content(upstream.Role.DEVELOPER, content)
    text = encoding.decode(encoding.render(message))
    return text.split("namespace functions {\n\n", 1)[1].rsplit("\n\n} // namespace functions", 1)[0]


def as_property(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


@given(st.one_of(json_schemas, odd_schemas), st.booleans())
def test_the_upstream_style_is_byte_identical(schema: dict[str, Any], nested: bool) -> None:
    parameters = as_property(schema) if nested else schema
    assert ours(parameters, "upstream") == theirs(parameters)


@given(lossless_schemas)
def test_the_extended_style_is_upstreams_where_that_loses_nothing(schema: dict[str, Any]) -> None:
    parameters = as_property(schema)
    assert ours(parameters, "extended") == ours(parameters, "upstream")


@pytest.mark.parametrize("depth", [1, 50, 118])
def test_nesting_as_deep_as_upstream_takes_it(depth: int) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    assert ours(schema, "upstream") == theirs(schema)


OBJECT_B = {"type": "object", "properties": {"b": {"type": "string", "description": "bd"}}, "required": ["b"]}
GOLDEN: list[tuple[Any, str]] = [
    ({"type": "string", "enum": ["a", "b"], "default": "a"}, 'a?: "a" | "b", // default: a'),
    ({"type": "string", "default": "x"}, 'a?: string, // default: "x"'),
    ({"type": "number", "default": 1.0}, "a?: number, // default: 1.0"),
    ({"type": ["integer", "null"]}, "a?: number | null,"),
    ({"type": "string", "nullable": True}, "a?: string | null,"),
    ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, "a?: number[][],"),
    ({"type": "array", "items": OBJECT_B}, "a?: {\n    // bd\n    b: string,\n    }[],"),
    (
        {
            "oneOf": [{"type": "string", "default": "q"}, {"type": "number", "description": "n"}],
            "description": "d",
            "default": 20,
        },
        '// d\n// default: 20\na?:\n | string // default: "q"\n | number // n\n,',
    ),
]
DROPPED: list[tuple[Any, str]] = [
    ({"type": "object"}, "a?: {\n    },"),
    (
        {"type": "string", "title": "T", "description": "D", "examples": ["e", 2]},
        '// T\n//\n// D\n// Examples:\n// - "e"\na?: string,',
    ),
    ({"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}, 'a?: "a" | "b"[],'),
    ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, "a?: any, // default: null"),
    ({"const": "x"}, "a?: any,"),
    ({"type": "integer", "enum": [1, 2]}, "a?: number,"),
    ({"type": ["array", "null"], "items": {"type": "string"}}, "a?: array | null,"),
    ({"type": "object", "additionalProperties": {"type": "string"}}, "a?: {\n    },"),
]


@pytest.mark.parametrize(("schema", "lines"), GOLDEN + DROPPED, ids=json.dumps)
def test_golden_declarations_upstream(schema: Any, lines: str) -> None:
    expected = f"type f = (_: {{\n{lines}\n}}) => any;"
    assert ours(as_property(schema), "upstream") == theirs(as_property(schema)) == expected


@pytest.mark.parametrize(("schema", "lines"), GOLDEN, ids=json.dumps)
def test_golden_declarations_extended(schema: Any, lines: str) -> None:
    assert ours(as_property(schema), "extended") == f"type f = (_: {{\n{lines}\n}}) => any;"


def test_a_union_as_the_whole_argument() -> None:
    variants = [as_property({"type": "string"}), {"type": "string", "enum": ["x"], "default": "x"}]
    variants[1]["description"] = "dd"
    expected = 'type f = (_: \n | {\n   a?: string,\n   }\n | "x" // dd default: "x") => any;'
    assert ours({"oneOf": variants}, "upstream") == theirs({"oneOf": variants}) == expected
    assert ours({"oneOf": variants}, "extended") == expected
