"""GBNF for schemas and patterns, in llama.cpp's own hands: what fits it fits them, or they are refused."""

from __future__ import annotations

import functools
import inspect
import json
import random
import re
import sys
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from harmony_py.constrain import JsonSchema, Regex, TurnSpec, to_gbnf
from harmony_py.errors import ConstraintError
from harmony_py.tokenizer.special import RETURN
from tests.differential.test_constrain_gbnf import accepted, begun
from tests.instances import instances
from tests.llama_library import Grammar, vocabulary
from tests.property.test_constrain_completeness import ZOO, near_instances
from tests.turns import BYTES, ids, tokenizer

# -- schemas -------------------------------------------------------------------------------------------------

REFUSED = {"number", "both"}
"""Those that GBNF cannot say."""


@functools.cache
def schema_grammar(name: str) -> Grammar:
    return vocabulary().grammar(to_gbnf(TurnSpec(final=JsonSchema(ZOO[name]))))


def fits(name: str, text: str) -> bool:
    grammar = schema_grammar(name).copy()
    for token in ids("<|start|>assistant<|channel|>final<|message|>"):
        grammar.accept(token)
    tokens = [*(BYTES[byte] for byte in text.encode()), RETURN]
    return accepted(grammar, tokens) == len(tokens)


def limited(value: Any) -> str:
    """As JSON, with `<` as the escape that strings of limited length and markers ask for."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace("\x7f", "\\u007f")


@pytest.mark.parametrize("name", [name for name in ZOO if name not in REFUSED])
@settings(max_examples=40)
@given(data=st.data())
def test_every_instance_of_a_schema_is_accepted(name: str, data: st.DataObject) -> None:
    value = data.draw(instances(ZOO[name]))
    jsonschema.validate(value, ZOO[name])
    assert fits(name, limited(value)), limited(value)


@pytest.mark.parametrize("name", [name for name in ZOO if name not in {*REFUSED, "anything"}])
@settings(max_examples=40)
@given(value=near_instances)
def test_what_is_no_instance_is_refused(name: str, value: Any) -> None:
    assume(not jsonschema.Draft202012Validator(ZOO[name]).is_valid(value))
    assert not fits(name, limited(value))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_said_is_refused(name: str) -> None:
    with pytest.raises(ConstraintError, match=r"^final\.schema/(maximum|allOf): "):
        to_gbnf(TurnSpec(final=JsonSchema(ZOO[name])))


@settings(max_examples=60)
@given(least=st.none() | st.integers(-1200, 1200), most=st.none() | st.integers(-1200, 1200), data=st.data())
def test_whole_numbers_keep_to_their_bounds(least: int | None, most: int | None, data: st.DataObject) -> None:
    schema: dict[str, Any] = {"type": "integer"}
    schema |= {} if least is None else {"minimum": least}
    schema |= {} if most is None else {"maximum": most}
    if least is not None and most is not None and least > most:
        with pytest.raises(ConstraintError, match="nothing fits it"):
            to_gbnf(TurnSpec(final=JsonSchema(schema)))
        return
    grammar = begun(vocabulary().grammar(to_gbnf(TurnSpec(final=JsonSchema(schema)))))
    for token in ids("<|channel|>final<|message|>"):
        grammar.accept(token)
    edges = [edge + step for edge in (least, most) if edge is not None for step in (-1, 0, 1)]
    for number in [*edges, *data.draw(st.lists(st.integers(-12000, 12000), max_size=8))]:
        tokens = [*(BYTES[byte] for byte in str(number).encode()), RETURN]
        is_within = (least is None or least <= number) and (most is None or number <= most)
        assert (accepted(grammar, tokens) == len(tokens)) is is_within, number


# -- patterns ------------------------------------------------------------------------------------------------

PATTERNS = [
    r"(yes|no)/[0-9]{1,3}\.?",
    r"[^<]*",
    r"(?:ab|c)+d{2,}e{0,3}?",
    r"[A-Za-z_][\w.-]*",
    r"\d+(,\d{3})*",
    r"|x|\x41\u00e9[^\sa-z<]",
    r"[\]\[^-]\(a\|b\)",
]


@functools.cache
def pattern_grammar(pattern: str) -> Grammar:
    return vocabulary().grammar(
        to_gbnf(TurnSpec(final=Regex(pattern), reasoning="forbidden", preamble=False))
    )


def matches(grammar: Grammar, text: str) -> bool:
    grammar = begun(grammar)
    for token in ids("<|channel|>final<|message|>"):
        grammar.accept(token)
    tokens = [*(BYTES[byte] for byte in text.encode()), RETURN]
    return accepted(grammar, tokens) == len(tokens)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=40)
@given(data=st.data())
def test_patterns_match_what_pythons_do(pattern: str, data: st.DataObject) -> None:
    characters = st.characters(max_codepoint=0x17F, exclude_characters="\0")
    near = st.text(st.sampled_from("abcdeéA_-.,0/9 yesno[]^(|)x") | characters, max_size=8)
    text = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True) | near)
    assume("\0" not in text)
    assert matches(pattern_grammar(pattern), text) is bool(re.fullmatch(pattern, text, re.ASCII))


@pytest.mark.parametrize("pattern", ["^[A-Z]{2}-[0-9]+$", r"^[^a]*$", r"^.{0,3}\n?$", '^(<b>|"|\\\\)+$'])
@settings(max_examples=40)
@given(data=st.data())
def test_patterns_within_json_do_too(pattern: str, data: st.DataObject) -> None:
    schema = {"type": "string", "pattern": pattern}
    text = data.draw(
        st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
        | st.text(st.sampled_from('ABa-0<b>"\\\n| é'), max_size=6)
    )
    assume(not any(ord(character) < 0x20 and character not in "\n\r\t\b\f" for character in text))
    grammar = schema_like(json.dumps(schema))
    assert matches(grammar, limited(text)) is bool(re.fullmatch(pattern, text, re.ASCII))


@functools.cache
def schema_like(schema: str) -> Grammar:
    return vocabulary().grammar(to_gbnf(TurnSpec(final=JsonSchema(json.loads(schema)))))


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a(?=b)", r"only plain groups"),
        (r"(a)\1", r"\\1 cannot be said"),
        (r"\bx", r"\\b cannot be said"),
        ("[[:alpha:]]", "named sets"),
        ("a**", "a repetition of a repetition"),
        ("a{3,1}", "more at least than at most"),
        ("a{2000}", "repeats nothing more than 1,999 times"),
        ("x$y", r"'\$' cannot stand here"),
        ("[z-a]", "no range of characters"),
        (".*", "could spell a control token"),
    ],
)
def test_patterns_that_cannot_be_said_are_refused(pattern: str, reason: str) -> None:
    with pytest.raises(ConstraintError, match=rf"^final\.pattern: .*{reason}"):
        to_gbnf(TurnSpec(final=Regex(pattern)))


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"properties": {"n": {"type": "number", "maximum": 3}}}, "/properties/n/maximum"),
        ({"type": "string", "pattern": "a+"}, "/pattern"),
        ({"type": "string", "format": "date"}, "/format"),
        ({"type": "array", "uniqueItems": True}, "/uniqueItems"),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, "/additionalProperties"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "/oneOf"),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "/anyOf/0/$ref"),
        ({"$ref": "#/nowhere"}, "/$ref"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, ""),
        ({"type": "string", "maxLength": 3000}, ""),
        ({"type": "string", "enum": [1, None]}, "/enum"),
        (
            {"properties": {"o": {"type": "object", "required": ["a"], "additionalProperties": False}}},
            "/properties/o/required",
        ),
        ({"type": "integer", "minimum": 10**40}, "/minimum"),
        ({"type": "integer", "maximum": 1e300}, "/maximum"),
    ],
)
def test_schemas_that_cannot_be_said_are_refused_by_place(schema: dict[str, Any], place: str) -> None:
    with pytest.raises(ConstraintError) as caught:
        to_gbnf(TurnSpec(final=JsonSchema(schema)))
    assert caught.value.where == f"final.schema{place}"


WORDS = [
    *(
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
    ),
    *("enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$defs", "pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "description", "format"),
]
VALUES = [
    "object",
    "array",
    "string",
    "integer",
    "number",
    "null",
    "#",
    "#/$defs/a",
    "^[a-c]*$",
    "a",
    "<|end|>",
]
odd = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 40) | st.floats(-9, 9) | st.sampled_from(VALUES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*WORDS, "a", "b"]), inner, max_size=4)
    ),
    max_leaves=12,
)


scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "e<", '"', "<|end|>"])
few = st.integers(0, 3)


def of(kind: str, **words: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=words)


def some(inner: st.SearchStrategy[Any], *, unique: bool = False) -> st.SearchStrategy[list[Any]]:
    return st.lists(inner, min_size=1, max_size=3, unique=unique)


sound = st.recursive(
    st.one_of(
        of("string", minLength=few, maxLength=few),
        of("string", pattern=st.sampled_from(["^[a-c]{1,3}$", r"^(x|\\d+)?\"$"])),
        of("integer", minimum=st.integers(-20, 5), maximum=st.integers(-5, 120)),
        of("integer", exclusiveMinimum=st.integers(-5, 5), exclusiveMaximum=st.floats(0, 99)),
        of("number", minimum=st.just(0)),
        st.fixed_dictionaries(
            {"enum": st.lists(scalars | st.lists(scalars, max_size=2), min_size=1, max_size=3)}
        ),
        st.fixed_dictionaries({"type": some(st.sampled_from(["null", "boolean", "integer"]), unique=True)}),
    ),
    lambda inner: st.one_of(
        of(
            "object",
            properties=st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            required=st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            additionalProperties=st.just(False),
        ),
        of("object", additionalProperties=inner),
        of(
            "array",
            items=inner | st.just(False),
            minItems=few,
            maxItems=few,
            prefixItems=some(inner),
        ),
        st.fixed_dictionaries({"anyOf": some(inner)}),
    ),
    max_leaves=5,
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(schema=sound, seed=st.integers(0, 2**32))
def test_what_fits_the_grammar_fits_the_schema(schema: dict[str, Any], seed: int) -> None:
    try:
        grammar = vocabulary().grammar(to_gbnf(TurnSpec(final=JsonSchema(schema))))
    except ConstraintError:
        assume(False)
    text = spelled_by(grammar, random.Random(seed))
    assume(text is not None)
    jsonschema.validate(json.loads(str(text)), schema, jsonschema.Draft202012Validator)


ASCII = BYTES[0x20:0x7F]
ENDING = [BYTES[byte] for byte in b'"}],:0']


def spelled_by(grammar: Grammar, chance: random.Random) -> str | None:
    """Some text of the grammar's; None where it came to no end."""
    grammar = begun(grammar)
    for token in ids("<|channel|>final<|message|>"):
        grammar.accept(token)
    text = ""
    for _ in range(100):
        allowed = grammar.allowed([*ASCII, RETURN])
        assert allowed, text
        if RETURN in allowed:
            return text
        ending = [token for token in ENDING if token in allowed]
        token = chance.choice(ending if ending and chance.random() < 0.7 else allowed)
        grammar.accept(token)
        text += tokenizer.decode([token])
    return None


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(schema=st.dictionaries(st.sampled_from(WORDS), odd, max_size=4), seed=st.integers(0, 2**32))
def test_whatever_a_schema_says_it_is_written_or_refused(schema: dict[str, Any], seed: int) -> None:
    """And what fits the grammar fits the schema."""
    try:
        grammar = vocabulary().grammar(to_gbnf(TurnSpec(final=JsonSchema(schema))))
    except ConstraintError:
        return
    text = spelled_by(grammar, random.Random(seed))
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError:
        return  # for such a one nobody can say
    if text is not None:
        jsonschema.validate(json.loads(text), schema, jsonschema.Draft202012Validator)


def test_a_type_beside_fixed_values_leaves_out_the_others() -> None:
    grammar = schema_like(json.dumps({"type": ["integer", "string"], "enum": [1, 2.5, 3.0, None, "a", True]}))
    found = [text for text in ("1", "2.5", "3.0", "null", '"a"', "true") if matches(grammar, text)]
    assert found == ["1", "3.0", '"a"']


def test_a_large_schema_is_written_in_time() -> None:
    schema = {"type": "object", "properties": {f"p{i}": {"enum": [i]} for i in range(200)}}
    grammar = schema_like(json.dumps(schema))
    assert matches(grammar, '{"p3": 3, "p199": 199}')
    assert not matches(grammar, '{"p4": 4, "p3": 3}')


def test_deep_schemas_are_written_or_refused() -> None:
    nested: dict[str, Any] = {"type": "null"}
    for _ in range(60):
        nested = {"type": "array", "items": nested, "minItems": 1}
    assert matches(schema_like(json.dumps(nested)), "[" * 60 + "null" + "]" * 60)
    chain = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}]} for i in range(190)}
    schema = {"$defs": {**chain, "d190": {"type": "null"}}, "$ref": "#/$defs/d0"}
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 700)
    try:
        with pytest.raises(ConstraintError, match=r"go too deep|references"):
            to_gbnf(TurnSpec(final=JsonSchema(schema)))
    finally:
        sys.setrecursionlimit(limit)


def test_names_that_spell_markers_are_escaped() -> None:
    schema = {
        "type": "object",
        "properties": {"<|end|>": {"const": "<|call|>"}},
        "additionalProperties": False,
    }
    grammar = schema_like(json.dumps(schema))
    assert matches(grammar, '{"\\u003c|end|>": "\\u003c|call|>"}')
    assert not matches(grammar, '{"<|end|>": "<|call|>"}')
