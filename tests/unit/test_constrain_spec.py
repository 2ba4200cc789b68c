"""Specifications that make no sense, and schemas and names from strangers: refused, with the place."""

from __future__ import annotations

import json
import random
import string
import time
from typing import Any

import pytest

from harmony_py.chat import ToolDescription, ToolNamespaceConfig
from harmony_py.constrain import JsonSchema, Mask, Named, Regex, TurnSpec, to_lark
from harmony_py.constrain.schema import DEEPEST, LONGEST
from harmony_py.errors import ConstraintError, HarmonyError
from tests.turns import BYTES, SPECS, ids, weather


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("fields", "where", "reason"),
    [
        ({"reasoning": "maybe"}, "reasoning", "expected one of required, optional, forbidden, not 'maybe'"),
        ({"tool_choice": "any"}, "tool_choice", "expected one of auto, none, required, not 'any'"),
        ({"tool_choice": "required"}, "tool_choice", "a call is required, and there are no tools"),
        ({"tool_choice": Named("f"), "tools": [weather]}, "tool_choice", "no tool is called 'f'; there"),
        ({"header_styles": ()}, "header_styles", "at least one of"),
        ({"header_styles": ("sideways",)}, "header_styles", "expected one of role_first, channel_first"),
        ({"max_analysis_tokens": -1}, "max_analysis_tokens", "expected a number of tokens or None, not -1"),
        ({"max_analysis_tokens": True}, "max_analysis_tokens", "expected a number of tokens"),
        ({"builtin_tools": ("shell",)}, "builtin_tools", "expected one of python, browser, not 'shell'"),
        ({"tools": [weather, weather]}, "tools", "'functions.weather' is there twice"),
        ({"tools": [{"name": "f"}]}, "tools[0]", "expected a tool, not dict"),
        ({"tools": [ToolNamespaceConfig.python()]}, "tools[0]", "the namespace 'python' has no tools"),
        ({"final": "text"}, "final", "expected Text, JsonSchema or Regex, not str"),
        ({"final": Regex("a" * 20_000)}, "final.pattern", "longer than 16,384 characters"),
    ],
)  # fmt: skip
def test_a_specification_that_makes_no_sense_is_refused(
    fields: dict[str, Any], where: str, reason: str
) -> None:
    with pytest.raises(ConstraintError) as caught:
        TurnSpec(**fields)
    assert caught.value.where == where
    assert caught.value.reason.startswith(reason)
    assert str(caught.value) == f"{where}: {caught.value.reason}"
    assert isinstance(caught.value, HarmonyError)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "two words",
        "a<|message|>",
        "a\n",
        'b" <|call|>\nstart: "x',
        "tab\there",
        "\u2028",
        "\ud800",
        "x\u00a0y",
    ],
)
def test_names_that_are_no_words_are_refused(name: str) -> None:
    for tool in (ToolDescription.new(name), ToolNamespaceConfig(name=name, tools=[weather])):
        with pytest.raises(ConstraintError) as caught:
            TurnSpec([tool])
        assert caught.value.where in ("tools[0].name", "tools[0].tools[0].name")


@pytest.mark.parametrize(
    "name", ['q"uote', "back\\slash", "sla/sh", "x{3}|y*", "naïve-東京", "a.b", "%json", "💥", "(", "#c"]
)
def test_names_are_text_in_every_grammar(name: str) -> None:
    spec = TurnSpec(
        [ToolDescription.new(name)], tool_choice="required", reasoning="forbidden", preamble=False
    )
    mask = Mask.from_spec(spec)
    turn = [*ids(f"<|channel|>commentary to=functions.{name}"), *ids("<|message|>{}<|call|>")]
    assert mask.accepts(turn) == len(turn)
    for token in turn:
        mask.advance(token)
    assert mask.done


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (False, "allows nothing"),
        ([], "expected a JSON Schema, not list"),
        ({"$ref": "#"}, "nothing that ever ends"),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
            "nothing that ever",
        ),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "nothing that ever ends"),
        ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "nothing that ever ends"),
        ({"allOf": [{"anyOf": [{"$ref": "#"}]}]}, "nothing that ever ends"),
        ({"enum": []}, "nothing that ever ends"),
        (nested(DEEPEST), f"nested deeper than {DEEPEST} brackets"),
        (nested(100_000), f"nested deeper than {DEEPEST} brackets"),
        ({"const": "x" * LONGEST}, "the schema has"),
        ({"enum": [[] for _ in range(LONGEST + 1)]}, f"the schema is longer than {LONGEST:,} characters"),
        ({"const": float("nan")}, "no JSON: Out of range float values"),
        ({"const": b"bytes"}, "no JSON: Object of type bytes"),
        ({"type": "object", "minProperties": 2}, "cannot be promised: a name may come twice"),
        ({"exclusiveMinimum": 0, "maximum": 0.5}, "cannot be promised: 0 itself gets in"),
        ({"minimum": -0.5, "exclusiveMaximum": 0}, "cannot be promised: 0 itself gets in"),
    ],
)
def test_schemas_that_no_grammar_should_see_are_refused(schema: Any, reason: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ConstraintError) as caught:
        TurnSpec(final=JsonSchema(schema))
    assert caught.value.where.startswith("final.schema")
    assert caught.value.reason.startswith(reason)
    assert len(str(caught.value)) < 500
    assert time.perf_counter() - start < 5


def test_a_schema_may_be_recursive_if_it_ends() -> None:
    for schema in (
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"anyOf": [{"type": "array", "items": {"$ref": "#"}, "minItems": 1}, {"type": "null"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/c"}, "c": {}}, "$ref": "#/$defs/a"},
        {"const": {"$ref": "#", "exclusiveMinimum": 0, "maximum": 0.5}},
    ):
        assert (
            Mask.from_spec(TurnSpec(final=JsonSchema(schema))).accepts(ids("<|channel|>final<|message|>"))
            == 3
        )


@pytest.mark.parametrize("place", ["1", "²", "9" * 5000])
def test_a_reference_to_no_place_in_a_list_is_refused(place: str) -> None:
    schema = {"properties": {"a": {"$ref": f"#/anyOf/{place}"}}, "anyOf": [{}]}
    with pytest.raises(ConstraintError):
        Mask.from_spec(TurnSpec(final=JsonSchema(schema)))


def test_nobody_is_led_into_a_part_that_never_ends() -> None:
    endless = {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}, "required": ["next"]}
    schema = {
        "$defs": {"n": endless, "m": {"allOf": [{"$ref": "#/$defs/n"}]}},
        "type": "object",
        "properties": {"n": {"$ref": "#/$defs/n"}, "all": {"type": "array", "items": {"$ref": "#/$defs/m"}}},
        "additionalProperties": False,
    }
    assert answers(schema, "{}")
    assert answers(schema, '{"all": []}')
    for begun in ('{"n', '{"all": [{'):
        mask = Mask.from_spec(TurnSpec(final=JsonSchema(schema)), ids("<|channel|>final<|message|>"))
        tokens = [BYTES[byte] for byte in begun.encode()]
        assert mask.accepts(tokens) == len(tokens) - 1
    assert schema["$defs"]["n"] is endless  # type: ignore[index]


def test_references_without_end_take_no_time() -> None:
    circle = {
        f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{(i * 7 + j) % 500}"} for j in range(3)]} for i in range(500)
    }
    chain = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(5000)}
    start = time.perf_counter()
    for definitions in (circle, chain):
        with pytest.raises(ConstraintError, match=r"nothing that ever ends|references"):
            TurnSpec(final=JsonSchema({"$defs": definitions, "$ref": "#/$defs/d0"}))
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    ("schema", "place", "reason"),
    [
        ({"properties": {"n": {"not": {"type": "string"}}}}, "/properties/n", "Unimplemented keys"),
        ({"properties": {"a": {"items": {"type": "array", "uniqueItems": True}}}}, "/properties/a/items", ""),
        ({"required": ["n"], "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 2}}}, "", ""),
        ({"properties": {"s": {"type": "string", "pattern": "(?=x)"}}}, "/properties/s", "regex parse error"),
        ({"properties": {"s": {"$ref": "https://example.com/s.json"}}}, "/properties/s", "Resource"),
        ({"properties": {"s": {"type": "string", "format": "frob"}}}, "/properties/s", "Unknown format"),
    ],
)  # fmt: skip
def test_what_the_engine_cannot_do_is_named_with_its_place(schema: Any, place: str, reason: str) -> None:
    schema = {"type": "object", **schema}
    with pytest.raises(ConstraintError) as caught:
        Mask.from_spec(TurnSpec([ToolDescription.new("good"), ToolDescription.new("bad", "", schema)]))
    assert caught.value.where.startswith(f"tool 'functions.bad', parameters{place}")
    assert reason in caught.value.reason
    with pytest.raises(ConstraintError) as caught:
        Mask.from_spec(TurnSpec(final=JsonSchema(schema)))
    assert caught.value.where.startswith(f"final.schema{place}")


@pytest.mark.parametrize("parameters", [{"type": "string"}, {"type": ["array", "null"]}])
def test_arguments_are_objects(parameters: dict[str, Any]) -> None:
    with pytest.raises(ConstraintError, match="a call's arguments are an object"):
        TurnSpec([ToolDescription.new("f", "", parameters)])
    mask = Mask.from_spec(TurnSpec([ToolDescription.new("f", "", {"type": ["object", "null"]})]))
    assert mask.accepts(ids("<|channel|>commentary to=functions.f<|message|>null")) == 8


def answers(schema: Any, text: str) -> bool:
    mask = Mask.from_spec(TurnSpec(final=JsonSchema(schema)), ids("<|channel|>final<|message|>"))
    tokens = [*(BYTES[byte] for byte in text.encode()), *ids("<|return|>")]
    return mask.accepts(tokens) == len(tokens)


def test_a_schema_cannot_change_the_engines_settings() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    separators = {"key_separator": "=", "item_separator": ";"}
    assert not answers({**schema, "x-guidance": separators}, '{"a"=1}')
    assert answers({**schema, "x-guidance": separators}, '{"a": 1}')
    with pytest.raises(ConstraintError, match="Unimplemented keys"):
        Mask.from_spec(
            TurnSpec(final=JsonSchema({"not": {"type": "string"}, "x-guidance": {"lenient": True}}))
        )


def test_no_name_comes_in_disguise() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert answers(schema, '{"a":1,"b":"x"}')
    assert not answers(schema, '{"a":"x"}')
    assert not answers(schema, r'{"\u0061":"x"}')
    closed = {**schema, "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    assert answers(closed, r'{"a":"\u0061\ud83d\ude00"}')
    assert not answers(closed, r'{"a":"\ud83d"}')
    assert not answers(closed, r'{"\u0061":"x"}')


def test_whitespace_comes_to_an_end() -> None:
    assert answers({"type": "array"}, "[" + " " * 50 + "]")
    assert not answers({"type": "array"}, "[" + " " * 200 + "]")


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("a/b", "a/b", "a"),
        (r"[/\\]+", "/\\", ""),
        ("/\n|\r", "/\n", "/"),
        ("//x|/\\*y", "//x", ""),
        ("", "", "a"),
        ("a{2}|b", "aa", "a"),
        ("a\\\nb", "a\nb", "a"),
        (r"\p{L}{3}", "Łód", "Ł"),
        ("é[^\\]]", "éx", "é]"),
    ],
)
def test_patterns_are_patterns_and_no_grammar(pattern: str, good: str, bad: str) -> None:
    for text, fits in ((good, True), (bad, False)):
        mask = Mask.from_spec(TurnSpec(final=Regex(pattern)), ids("<|channel|>final<|message|>"))
        tokens = [*(BYTES[byte] for byte in text.encode()), *ids("<|return|>")]
        assert (mask.accepts(tokens) == len(tokens)) is fits


def test_what_exceeds_the_engine_is_refused_before_the_turn_begins() -> None:
    chance = random.Random(1)
    words = ["".join(chance.choices(string.ascii_letters, k=15)) for _ in range(10_000)]
    properties = {word: {"type": "integer"} for word in words[:3000]}
    for schema in ({"enum": words}, {"type": "object", "properties": properties}):
        with pytest.raises(ConstraintError, match=r"too many expressions|max is 2000") as caught:
            Mask.from_spec(TurnSpec(final=JsonSchema(schema)))
        assert caught.value.where == "final.schema"
    large = {"type": "object", "description": "x" * 250_000}
    with pytest.raises(ConstraintError, match=r"schemas of more than 2,097,152 characters together"):
        TurnSpec([ToolDescription.new(f"f{i}", "", large) for i in range(10)])
    with pytest.raises(ConstraintError, match=r"more than 512 tools"):
        TurnSpec([ToolDescription.new(f"f{i}") for i in range(600)])


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a\\", "a backslash at the end escapes nothing"),
        ("(a", "invalid regex"),
        ("a(?=b)", "invalid regex"),
        ("*", "invalid regex"),
        (r"[^\s\S]", "nothing fits it"),
        ("/ <|call|>\nx: /a(", "invalid regex"),
    ],
)
def test_patterns_that_are_none_are_refused(pattern: str, reason: str) -> None:
    with pytest.raises(ConstraintError) as caught:
        Mask.from_spec(TurnSpec(final=Regex(pattern)))
    assert caught.value.where == "final.pattern"
    assert caught.value.reason.startswith(reason) or reason in caught.value.reason


def test_a_grammar_says_every_schema_once_and_holds_nothing_else_of_the_tools() -> None:
    tools = [
        ToolDescription.new(f"f{i}", 'evil\nstart: "x"', {"type": "object", "title": "a\nb: c"})
        for i in range(3)
    ]
    grammar = to_lark(TurnSpec(tools))
    assert grammar.count("%json") == 1
    assert json.dumps("a\nb: c") in grammar
    assert {line.partition(":")[0] for line in grammar.splitlines()[1:]} == {
        "start", "thoughts", "words", "answer", "call_0", "call_1", "call_2", "type_json", "json_0", "TEXT",
    }  # fmt: skip


def test_specifications_stay_as_they_are() -> None:
    tools = [weather]
    spec = TurnSpec(tools)
    tools.append(weather)
    assert len(spec.tools) == 1
    with pytest.raises(AttributeError):
        spec.tools = ()  # type: ignore[misc]
    assert SPECS["anything"] == TurnSpec()
