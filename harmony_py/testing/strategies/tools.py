"""Tools as apps declare them, and arguments for them: schemas, and instances of schemas."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

_NAMES = st.sampled_from(["city", "query", "n", "unit", "max_items", "größe"])
_DESCRIPTIONS = st.sampled_from(["Where to look.", "In two lines:\nthis is the second.", 'A "quoted" one.'])
_WORDS = st.text('abc é漢👍\n"\\{<|', max_size=6)

_leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from([{"type": kind} for kind in ("string", "integer", "number", "boolean")]),
    st.lists(_WORDS, min_size=1, max_size=3, unique=True).map(
        lambda words: {"type": "string", "enum": words}
    ),
    st.sampled_from([{"type": ["string", "null"]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}]),
    st.just({"const": 1}),
)


@st.composite
def _objects(draw: st.DrawFn, inner: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    properties = draw(st.dictionaries(_NAMES, inner, max_size=3))
    for schema in properties.values():
        if draw(st.integers(0, 3)) == 3:
            schema["description"] = draw(_DESCRIPTIONS)
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


_values = st.recursive(
    _leaves.map(dict),
    lambda inner: st.one_of(_objects(inner), inner.map(lambda schema: {"type": "array", "items": schema})),
    max_leaves=4,
)

parameters: st.SearchStrategy[dict[str, Any]] = _objects(_values)
"""The schema of a tool's parameters, an object, as apps write it."""


@st.composite
def tools(draw: st.DrawFn) -> dict[str, Any]:
    """A function tool: `{"name", "description", "parameters"}`, the last one now and then absent."""
    name = draw(st.sampled_from(["f", "get_weather", "lookup-2"]))
    schema = {"parameters": draw(parameters)} if draw(st.booleans()) else {}
    return {"name": name, "description": draw(st.sampled_from(["Does it.", ""]) | _DESCRIPTIONS), **schema}


_BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "integer": st.integers(-(2**53), 2**53),
    "number": st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False),
    "string": _WORDS,
}


def instances(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """JSON values that follow `schema`, for the schemas that `parameters` gives.

    `ValueError` where a schema uses more than type, enum, const, anyOf, oneOf, properties, required, items.
    """
    known = {"type", "enum", "const", "anyOf", "oneOf", "properties", "required", "items", "description"}
    if more := set(schema) - known:
        raise ValueError(f"instances of a schema with {', '.join(sorted(more))} are not known")
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return st.one_of(*map(instances, choices))
    kinds = schema.get("type", list(_BY_TYPE))
    return st.one_of(*(_of_type(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)))


def _of_type(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if kind == "array":
        return st.lists(instances(schema.get("items", {})), max_size=3)
    if kind == "object":
        properties = {name: instances(value) for name, value in schema.get("properties", {}).items()}
        required = {name: properties.pop(name) for name in schema.get("required", []) if name in properties}
        return st.fixed_dictionaries(required, optional=properties)
    return _BY_TYPE[kind]


def arguments(tool: dict[str, Any]) -> st.SearchStrategy[str]:
    """What a model passes to `tool`: the JSON text of an object that follows its parameters."""
    return instances(tool.get("parameters", {"type": "object"})).map(
        lambda value: json.dumps(value, ensure_ascii=False)
    )
