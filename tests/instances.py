"""Instances of the simple JSON Schemas in the tests, properties in the order in which a schema has them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

CHARACTERS = st.characters(exclude_characters="\x7f", exclude_categories=["Cs"])
"""All but DEL, which the engine takes in no string."""

TEXT = st.text(CHARACTERS, max_size=8)

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def instances(schema: Any, root: Any = None) -> st.SearchStrategy[Any]:
    """Values that fit `schema`."""
    root = root or schema
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/").replace("~1", "/")
        return st.deferred(lambda: instances(root["$defs"][name], root))
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([instances(choice, root) for choice in schema["anyOf"]])
    if "allOf" in schema:
        first, *others = schema["allOf"]
        return instances(
            {**first, **{word: value for other in others for word, value in other.items()}}, root
        )
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return st.one_of([instances({**schema, "type": kind}, root) for kind in kinds])
    return ANY if kinds is None else _of_kind(kinds, schema, root)


def _of_kind(kind: str, schema: Any, root: Any) -> st.SearchStrategy[Any]:
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.decimals(schema.get("minimum", -1000), schema.get("maximum", 1000), places=3).map(float)
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"].replace("$", r"\Z"))
        case "string":
            most = schema.get("maxLength", 8)
            return st.text(CHARACTERS, min_size=schema.get("minLength", 0), max_size=most)
        case "array":
            return _arrays(schema, root)
        case _:
            return _objects(schema, root)


def _arrays(schema: Any, root: Any) -> st.SearchStrategy[Any]:
    first = [instances(item, root) for item in schema.get("prefixItems", [])]
    if schema.get("items") is False:
        return st.tuples(*first).map(list)
    items = instances(schema.get("items", {}), root)
    least = schema.get("minItems", 0)
    return st.lists(items, min_size=least, max_size=schema.get("maxItems", least + 2))


def _objects(schema: Any, root: Any) -> st.SearchStrategy[Any]:
    properties = schema.get("properties", {})
    named = {name: instances(value, root) for name, value in properties.items()}
    required = {name: value for name, value in named.items() if name in schema.get("required", [])}
    optional = {name: value for name, value in named.items() if name not in required}
    objects = st.fixed_dictionaries(required, optional=optional).map(
        lambda value: {name: value[name] for name in properties if name in value}
    )
    other = schema.get("additionalProperties", True)
    if other is False:
        return objects
    more = st.dictionaries(
        TEXT.filter(lambda name: name not in properties),
        ANY if other is True else instances(other, root),
        max_size=2,
    )
    return st.tuples(objects, more).map(lambda both: {**both[0], **both[1]})
