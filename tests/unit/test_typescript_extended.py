"""The extended style: everything a schema says arrives in TypeScript."""

from __future__ import annotations

import enum
import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from harmony_py.chat import ToolDescription
from harmony_py.chat.typescript import SchemaStyle, declaration
from harmony_py.errors import HarmonyError
from harmony_py.testing.strategies import odd_schemas

STRING = {"type": "string"}
NUMBER = {"type": "number"}
NULL = {"type": "null"}
OBJECT_B = {"type": "object", "properties": {"b": STRING}, "required": ["b"]}


def rendered(schema: Any, **root: Any) -> str:
    """What stands between the braces for a property `a` of this schema."""
    parameters = {"type": "object", "properties": {"a": schema}, **root}
    text = declaration(ToolDescription(name="f", parameters=parameters))
    return text.removeprefix("type f = (_: {\n").removesuffix("\n}) => any;")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "array", "items": {**STRING, "enum": ["a", "b"]}}, 'a?: ("a" | "b")[],'),
        ({"type": "array", "items": {"oneOf": [STRING, NUMBER]}}, "a?: (string | number)[],"),
        ({"anyOf": [STRING, NULL], "default": None}, "a?: string | null, // default: null"),
        ({"anyOf": [STRING, STRING, NUMBER]}, "a?: string | number,"),
        ({"const": "x"}, 'a?: "x",'),
        ({"const": None}, "a?: null,"),
        ({"type": "integer", "enum": [1, 2]}, "a?: 1 | 2,"),
        ({"enum": ["a", 1, None, {"k": True}]}, 'a?: "a" | 1 | null | {"k":true},'),
        ({"type": ["array", "null"], "items": STRING}, "a?: string[] | null,"),
        ({"type": ["string", "null"], "enum": ["a", "b", None]}, 'a?: "a" | "b" | null,'),
        ({"type": ["object", "null"], "properties": {"b": NUMBER}}, "a?: {\n    b?: number,\n    } | null,"),
        ({"type": "object", "additionalProperties": STRING}, "a?: { [key: string]: string },"),
        ({"type": "object", "additionalProperties": True}, "a?: { [key: string]: any },"),
        ({"type": "object", "additionalProperties": False}, "a?: {\n    },"),
        ({"type": "object"}, "a?: object,"),
        ({"type": "object", "properties": {}}, "a?: {\n    },"),
        (
            {**OBJECT_B, "additionalProperties": NUMBER},
            "a?: {\n    b: string,\n    [key: string]: number,\n    },",
        ),
        (
            {"type": "object", "patternProperties": {"^x*/": NUMBER}},
            "a?: { [key: string /* ^x* / */]: number },",
        ),
        (
            {"type": "object", "propertyNames": {"enum": ["x"]}, "additionalProperties": NUMBER},
            'a?: { [key in "x"]: number },',
        ),
        ({"type": "object", "required": ["gone"]}, "a?: {\n    gone: any,\n    },"),
        ({**OBJECT_B, "description": "ad"}, "// ad\na?: {\n    b: string,\n    },"),
        (
            {"type": "array", "items": {**OBJECT_B, "description": "each"}},
            "// each\na?: {\n    b: string,\n    }[],",
        ),
        ({"description": "l1\nl2"}, "// l1\n// l2\na?: any,"),
        ({**STRING, "examples": ["e", 2]}, '// Examples:\n// - "e"\n// - 2\na?: string,'),
        ({"type": "array", "prefixItems": [STRING, NUMBER]}, "a?: [string, number],"),
        ({"type": "array", "prefixItems": [STRING], "items": NUMBER}, "a?: [string, ...number[]],"),
        ({"properties": {"b": STRING}, "required": ["b"]}, "a?: {\n    b: string,\n    },"),
        ({"items": STRING}, "a?: string[],"),
        ({**STRING, "enum": ["null"], "nullable": True}, 'a?: "null" | null,'),
        ({"type": "array", "items": {**STRING, "nullable": True}}, "a?: (string | null)[],"),
        ({**STRING, "enum": ['a"\n}) => any;']}, 'a?: "a\\"\\n}) => any;",'),
        ({**STRING, "default": 'q"\n'}, 'a?: string, // default: "q\\"\\n"'),
        ({"type": "integer", "default": 10**30}, f"a?: number, // default: {10**30}"),
        ({"type": "null"}, "a?: null,"),
        (True, "a?: any,"),
        (False, "a?: never,"),
        ({"allOf": [OBJECT_B], "description": "d"}, "// d\na?: {\n    b: string,\n    },"),
        (
            {"allOf": [OBJECT_B, {"type": "object", "properties": {"c": NUMBER}}]},
            "a?: ({\n    b: string,\n    } & {\n    c?: number,\n    }),",
        ),
        ({**STRING, "anyOf": [{"const": "x"}, {"const": "y"}]}, 'a?: "x" | "y",'),
        (
            {"anyOf": [{**STRING, "description": "s"}, {**NUMBER, "description": "n"}], "default": 1},
            "// default: 1\na?:\n | string // s\n | number // n\n,",
        ),
        (
            {"type": "array", "items": {"oneOf": [{**STRING, "description": "s"}, NUMBER]}},
            "a?: (\n     | string // s\n     | number\n    )[],",
        ),
        ({"oneOf": [{**STRING, "description": "d"}], "description": "d"}, "// d\na?:\n | string\n,"),
    ],
    ids=str,
)
def test_what_upstream_loses(schema: Any, expected: str) -> None:
    assert rendered(schema) == expected


def test_odd_keys_are_quoted() -> None:
    parameters = {"type": "object", "properties": {"x-y": NUMBER, "1": NUMBER, "ok_$": NUMBER}}
    text = declaration(ToolDescription(name="f", parameters=parameters))
    assert text == 'type f = (_: {\n"x-y"?: number,\n"1"?: number,\nok_$?: number,\n}) => any;'


@pytest.mark.parametrize("where", ["$defs", "definitions", "a~b/c d"])
def test_references_are_written_out(where: str) -> None:
    pointer = where.replace("~", "~0").replace("/", "~1").replace(" ", "%20")
    expected = "// of X\na?: {\n    b: string,\n    },"
    root = {where: {"X": {**OBJECT_B, "title": "X", "description": "of X"}}}
    assert rendered({"$ref": f"#/{pointer}/X"}, **root) == expected


def test_a_circle_of_references_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    expected = "a?: {\n    next?: any /* recursive Node */,\n    },"
    assert rendered({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}}) == expected
    assert rendered({"$ref": "#"}) == "a?: {\n    a?: any /* recursive # */,\n    },"
    assert (
        rendered({"$ref": "#/$defs/A"}, **{"$defs": {"A": {"$ref": "#/$defs/A"}}})
        == "a?: any /* recursive A */,"
    )


def test_a_union_that_holds_itself() -> None:
    itself = {"$ref": "#/$defs/Value"}
    variants = [
        STRING,
        {"type": "array", "items": itself},
        {"type": "object", "additionalProperties": itself},
    ]
    plain = {"anyOf": variants}
    expected = "any /* recursive Value */"
    assert rendered(itself, **{"$defs": {"Value": plain}}) == (
        f"a?: string | {expected}[] | {{ [key: string]: {expected} }},"
    )
    told = {"anyOf": [{**STRING, "description": "s"}, *variants[1:]]}
    assert rendered(itself, **{"$defs": {"Value": told}}) == (
        f"a?: \n     | string // s\n     | {expected}[]\n     | {{ [key: string]: {expected} }},"
    )


def test_unions_within_unions_take_no_time() -> None:
    schema: dict[str, Any] = {**STRING, "description": "deepest"}
    for _ in range(40):
        schema = {"anyOf": [schema, {**schema, "title": "again"}, NUMBER]}
        schema = {"anyOf": [{"type": "array", "items": schema["anyOf"][0]}, NUMBER]}
    assert "// deepest" in rendered(schema)


def test_a_reference_to_elsewhere_is_named() -> None:
    assert rendered({"$ref": "https://example.org/*/x.json"}) == "a?: any /* x.json */,"
    assert rendered({"$ref": "#/$defs/Missing"}) == "a?: any /* Missing */,"
    assert rendered({"$ref": "#anchor"}) == "a?: any /* #anchor */,"
    assert rendered({"$ref": f"#/x/{'9' * 5000}"}, x=[STRING]).startswith("a?: any /* 999")


def test_references_that_double_at_every_step_stay_bounded() -> None:
    names = [f"D{i}" for i in range(60)]
    definitions: dict[str, Any] = {
        name: {
            "type": "object",
            "properties": {"l": {"$ref": f"#/$defs/{after}"}, "r": {"$ref": f"#/$defs/{after}"}},
        }
        for name, after in zip(names, [*names[1:], "End"], strict=True)
    }
    text = rendered({"$ref": "#/$defs/D0"}, **{"$defs": {**definitions, "End": STRING}})
    assert len(text) < 500_000
    assert "any /* D" in text


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(BaseModel):
    """Somewhere on Earth."""

    city: str = Field(description="Its name")
    at: tuple[float, float] | None = None


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Arguments(BaseModel):
    place: Place
    other: Place | None = None
    colour: Colour = Colour.RED
    level: Level
    unit: Literal["c", "f"] = "c"
    counts: dict[str, int]
    by_colour: dict[Literal["red", "blue"], float]
    pair: tuple[int, str]
    places: list[Place]
    either: int | str
    tree: Tree
    pet: Cat | Dog = Field(discriminator="kind")
    anything: Any
    free: dict[str, Any]


def test_what_pydantic_generates_is_useful() -> None:
    text = declaration(ToolDescription(name="f", parameters=Arguments.model_json_schema()))
    fields = ["// City", "//", "// Its name", "city: string,", "// At", "//", "at?: [number, number] | null,"]
    place = "{\n    " + "\n    ".join(fields)
    cat, dog = (f'{{\n   // Kind\n   //\n   kind: "{kind}",\n   }}' for kind in ("cat", "dog"))
    for expected in [
        f"// Somewhere on Earth.\nplace: {place} // default: null\n    }},",
        f"// Somewhere on Earth.\nother?: {place} // default: null\n    }} | null, // default: null",
        'colour?: "red" | "blue", // default: red',
        "level: 1 | 2,",
        'unit?: "c" | "f", // default: c',
        "counts: { [key: string]: number },",
        'by_colour: { [key in "red" | "blue"]: number },',
        "pair: [number, string],",
        f"// Somewhere on Earth.\nplaces: {place} // default: null\n    }}[],",
        "either: number | string,",
        "    children?: any /* recursive Tree */[], // default: []",
        f"pet:\n | {cat}\n | {dog}\n,",
        "anything: any,",
        "free: { [key: string]: any },",
    ]:
        assert expected in text


def test_the_schemas_own_description_joins_the_tools() -> None:
    parameters = {"type": "object", "description": "Both\nlines"}
    text = declaration(ToolDescription(name="f", description="Tool", parameters=parameters))
    assert text == "// Tool\n// Both\n// lines\ntype f = (_: {\n}) => any;"
    same = declaration(ToolDescription(name="f", description="Same", parameters={"description": "Same"}))
    assert same == "// Same\ntype f = (_: any) => any;"


_EVIL = st.sampled_from(["\nEVIL", "x\r\nEVIL", "\u2028EVIL", 'q"\n\nEVIL', "\rEVIL*/", "EVIL"])


@pytest.mark.parametrize("style", ["upstream", "extended"])
@given(text=st.lists(_EVIL, min_size=12, max_size=12))
def test_no_text_in_a_schema_leaves_its_place(style: SchemaStyle, text: list[str]) -> None:
    hostile = {
        "title": text[0],
        "description": text[1],
        "examples": [text[2], {text[3]: text[3]}],
        "default": text[4],
        "type": ["string", text[5], "object"],
        "properties": {"x" + text[6]: {**STRING, "enum": ["a" + text[7]], "default": text[7]}},
        "patternProperties": {text[8]: {"$ref": "#/" + text[8]}},
    }
    union = {
        "oneOf": [hostile, {"const": {text[9]: text[9]}, "description": text[10]}],
        "description": text[10],
    }
    parameters = {"type": "object", "properties": {"a": hostile, "b": union}, "description": text[11]}
    tool = ToolDescription(name="f", description=text[11], parameters=parameters)
    lines = declaration(tool, style).replace("\r", "\n").replace("\u2028", "\n").split("\n")
    assert not [line for line in lines if line.lstrip().startswith("EVIL")]


@pytest.mark.parametrize("style", ["upstream", "extended"])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"default": math.nan}, "tool 'f': the parameters are not JSON"),
        ({"default": object()}, "tool 'f': the parameters are not JSON"),
    ],
)
def test_parameters_that_are_no_json(style: SchemaStyle, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(HarmonyError, match=message):
        declaration(ToolDescription(name="f", parameters=parameters), style)


@pytest.mark.parametrize("style", ["upstream", "extended"])
@pytest.mark.parametrize("depth", [127, 5_000, 200_000])
def test_nesting_without_end_is_refused(style: SchemaStyle, depth: int) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    with pytest.raises(HarmonyError, match=r"tool 'f': .*nested"):
        declaration(ToolDescription.model_construct(name="f", parameters=schema), style)
    while "items" in schema:  # taken apart by hand: freed whole, it would nest as deep in the interpreter
        schema = schema.pop("items")


@given(odd_schemas)
def test_any_schema_can_be_declared(schema: dict[str, Any]) -> None:
    text = declaration(ToolDescription(name="f", parameters=schema))
    assert "type f = (_: " in text
    assert text.endswith(") => any;")


def test_a_tool_without_parameters() -> None:
    assert declaration(ToolDescription(name="f")) == "type f = () => any;"
    assert declaration(ToolDescription(name="f", description="A\r\n\nB\n", parameters={})) == (
        "// A\n// \n// B\ntype f = (_: any) => any;"
    )
