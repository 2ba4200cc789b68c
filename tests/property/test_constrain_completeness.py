"""P3 and P8: what satisfies a specification is accepted however it is written; what does not is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harmony_py import load_harmony_encoding
from harmony_py.chat import Message, Role
from harmony_py.constrain import JsonSchema, Mask, TurnSpec
from harmony_py.format.config import RenderConfig
from harmony_py.tokenizer.special import RETURN, START_OF_TEXT
from tests.instances import instances
from tests.turns import BYTES, SPECS, TREE, WEATHER, argument_schemas, check_turn, ids, tokenizer

if TYPE_CHECKING:
    from harmony_py.chat import HeaderStyle

encoding = load_harmony_encoding()

near_instances = st.recursive(
    st.none() | st.booleans() | st.integers(-200, 200) | st.text(max_size=6) | st.floats(-2, 2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcozkp"), inner, max_size=3)
    ),
    max_leaves=6,
)
"""JSON of the names and sizes that the schemas are about, instances or not."""

ZOO: dict[str, Any] = {
    "weather": WEATHER,
    "tree": TREE,
    "anything": {},
    "object": {"type": "object"},
    "text": {"type": "string"},
    "short": {"type": "string", "minLength": 2, "maxLength": 5},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
    "integer": {"type": "integer"},
    "between": {"type": "integer", "minimum": -3, "maximum": 120},
    "number": {"type": "number", "minimum": 0, "maximum": 1},
    "enum": {"enum": ["a", "é\n", 1, 2.5, None, True, ["x"], {"k": []}]},
    "const": {"const": {"a": [1, "\u2028"]}},
    "choice": {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "null"}, "maxItems": 2}]},
    "both": {"allOf": [{"type": "integer", "minimum": 2}, {"maximum": 9}]},
    "tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
    },
    "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "optional": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": ["null", "number"]}},
        "additionalProperties": False,
    },
    "required": {
        "type": "object",
        "properties": {"z": {"type": "boolean"}, "a": {"$ref": "#/$defs/x~1y"}},
        "required": ["a", "z"],
        "additionalProperties": False,
        "$defs": {"x/y": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 3}},
    },
    "nested": {
        "type": "object",
        "properties": {
            "o": {"type": "object", "properties": {"p": {"enum": [1, 2]}}, "additionalProperties": False}
        },
        "required": ["o"],
        "additionalProperties": False,
    },
}


def accepted(schema: Any, text: str) -> bool:
    mask = Mask.from_spec(TurnSpec(final=JsonSchema(schema)), ids("<|channel|>final<|message|>"))
    tokens = [BYTES[byte] for byte in text.encode()]
    return mask.accepts([*tokens, RETURN]) == len(tokens) + 1


FIXED = {"weather", "enum", "const"}
"""Schemas with fixed values that are not ASCII: those are written as they are, without escapes."""

layouts = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 2, 4]),
        "separators": st.sampled_from([(",", ":"), (", ", ": ")]),
        "ensure_ascii": st.booleans(),
    }
)


@pytest.mark.parametrize("name", ZOO)
@given(data=st.data(), layout=layouts)
def test_every_instance_of_a_schema_is_accepted(
    name: str, data: st.DataObject, layout: dict[str, Any]
) -> None:
    schema = ZOO[name]
    value = data.draw(instances(schema))
    jsonschema.validate(value, schema)
    text = json.dumps(value, **layout | ({"ensure_ascii": False} if name in FIXED else {}))
    assert accepted(schema, text), text


@pytest.mark.parametrize("name", [name for name in ZOO if name != "anything"])
@given(value=near_instances)
def test_what_is_no_instance_is_refused(name: str, value: Any) -> None:
    assume(not jsonschema.Draft202012Validator(ZOO[name]).is_valid(value))
    assert not accepted(ZOO[name], json.dumps(value))


# -- whole turns -------------------------------------------------------------------------------------------

SPEC = SPECS["tools"]
SCHEMAS = argument_schemas(SPEC)


@st.composite
def turns(draw: st.DrawFn) -> list[Message]:
    """Messages that one turn of `SPEC` may hold."""
    channels = draw(st.lists(st.sampled_from(["analysis", "commentary"]), max_size=3))
    messages = [
        Message.from_role_and_content(Role.ASSISTANT, draw(st.text(max_size=30))).with_channel(channel)
        for channel in channels
    ]
    recipient = draw(st.sampled_from([None, *SCHEMAS]))
    if recipient is None:
        return [
            *messages,
            Message.from_role_and_content(Role.ASSISTANT, draw(st.text())).with_channel("final"),
        ]
    schema = {"type": "object", **SCHEMAS[recipient]}
    schema = {**schema, "additionalProperties": False} if "maxProperties" in schema else schema
    text = json.dumps(draw(instances(schema)), ensure_ascii=False)
    assume("\\u" not in text)  # what stands open to other names has no such escapes, see `schema.py`
    call = (
        Message.from_role_and_content(Role.ASSISTANT, text)
        .with_channel("commentary")
        .with_recipient(recipient)
    )
    content_type = draw(st.sampled_from([None, "json", "<|constrain|>json"]))
    return [*messages, call.with_content_type(content_type) if content_type else call]


@given(messages=turns(), style=st.sampled_from(["role_first", "channel_first"]), chance=st.randoms())
def test_every_turn_that_satisfies_the_specification_is_accepted(
    messages: list[Message], style: HeaderStyle, chance: Any
) -> None:
    config = RenderConfig(header_style=style)
    tokens = encoding.render_conversation_for_training(messages, config)
    check_turn(SPEC, tokens[2:])
    for written in (tokens, cut_anew(tokens, chance)):
        mask = Mask.from_spec(SPEC, written[:1])
        for token in written[1:]:
            mask.advance(token)
        assert mask.done


def cut_anew(tokens: list[int], chance: Any) -> list[int]:
    """The same text in other tokens: some of them are now their bytes."""
    anew: list[int] = []
    for token in tokens:
        text = tokenizer.decode_single_token_bytes(token)
        anew += [BYTES[byte] for byte in text] if token < START_OF_TEXT and chance.random() < 0.3 else [token]
    return anew
