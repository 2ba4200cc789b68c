"""JSON Schemas: as people write them, as nobody would, and those of which nothing is lost."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

# Line breaks other than "\n" inside a schema's text are where we part from upstream on purpose.
_WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\u2028\u2029"), max_size=12)
_NAMES = st.one_of(st.sampled_from(["a", "b", "city", "null", "x-y", "1", "type"]), _WORDS)
_NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(10**40), 10**40),
    # Short decimals: serde_json reads long ones a last bit away from what they say.
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9).map(
        float
    ),
    st.sampled_from([0.0, -0.0, 1e16, 1e-5, 1e-6, 1.5e-7, 1e30, 1e15]),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=6,
)

_TYPES = ["string", "number", "integer", "boolean", "object", "array", "null", "odd"]


@st.composite
def _one_schema(draw: st.DrawFn, inner: st.SearchStrategy[Any], odd: bool) -> dict[str, Any]:
    """A schema of any kind; with `odd`, keywords hold what they should not now and then."""
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": st.one_of(st.sampled_from(_TYPES), st.lists(st.sampled_from(_TYPES), max_size=3)),
        "description": _WORDS,
        "title": _WORDS,
        "default": json_values,
        "enum": st.lists(st.one_of(_WORDS, json_values), max_size=3),
        "examples": st.lists(st.one_of(_WORDS, json_values), max_size=3),
        "nullable": st.booleans(),
        "properties": st.dictionaries(_NAMES, inner, max_size=4),
        "required": st.lists(_NAMES, max_size=3),
        "items": inner,
        "oneOf": st.lists(inner, max_size=3),
        "anyOf": st.lists(inner, max_size=3),
        # What upstream does not look at.
        "allOf": st.lists(inner, max_size=2),
        "const": json_values,
        "$ref": st.sampled_from(["#", "#/properties/a", "#/$defs/b", "elsewhere"]),
        "$defs": st.dictionaries(_NAMES, inner, max_size=2),
        "prefixItems": st.lists(inner, max_size=2),
        "additionalProperties": st.one_of(inner, st.booleans()),
        "patternProperties": st.dictionaries(_NAMES, inner, max_size=2),
        "propertyNames": inner,
    }
    chosen = draw(st.lists(st.sampled_from(sorted(keywords)), unique=True, max_size=6))
    values = {name: keywords[name] for name in chosen}
    if odd:
        values = {name: st.one_of(value, value, value, json_values) for name, value in values.items()}
    return {name: draw(value) for name, value in values.items()}


def _schemas(odd: bool) -> st.SearchStrategy[dict[str, Any]]:
    leaf = st.sampled_from([{"type": kind} for kind in _TYPES])
    return st.recursive(leaf, lambda inner: _one_schema(inner, odd), max_leaves=8)


json_schemas = _schemas(odd=False)
"""Schemas as people write them, and some that nobody would."""

odd_schemas = _schemas(odd=True)
"""Also with keywords of the wrong kind."""

_IDENTIFIERS = st.sampled_from(["a", "b", "city", "_unit", "maxItems", "$x"])
_PLAIN_WORDS = st.text("abcXYZ 09.,;:-_äß漢😀", max_size=12).filter(lambda text: "null" not in text)


@st.composite
def _one_lossless_schema(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    notes = {"title": _PLAIN_WORDS, "default": st.one_of(_PLAIN_WORDS, st.integers(-9, 9), st.booleans())}
    properties = draw(st.dictionaries(_IDENTIFIERS, inner, max_size=3))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    kinds: list[dict[str, Any]] = [
        {"type": "string"},
        {"type": draw(st.sampled_from(["number", "integer", "boolean"])), "description": draw(_PLAIN_WORDS)},
        {"type": "string", "enum": draw(st.lists(_PLAIN_WORDS, min_size=1, max_size=3))},
        {"type": draw(st.lists(st.sampled_from(["string", "number", "boolean", "null"]), min_size=1))},
        {"type": "array"},
        {"type": "array", "items": {"type": draw(st.sampled_from(["string", "integer"]))}},
        {"type": "array", "items": {"type": "object", "properties": properties}},
        {"type": "object", "properties": properties, "required": required},
        {"oneOf": draw(st.lists(inner, min_size=1, max_size=3))},
        {
            "type": "string",
            "nullable": True,
            "examples": draw(st.lists(_PLAIN_WORDS, min_size=1, max_size=2)),
        },
        {},
    ]
    chosen = draw(st.lists(st.sampled_from(sorted(notes)), unique=True))
    return {**draw(st.sampled_from(kinds)), **{name: draw(notes[name]) for name in chosen}}


lossless_schemas = st.recursive(st.just({"type": "string"}), _one_lossless_schema, max_leaves=6)
"""Schemas of which upstream loses nothing."""
