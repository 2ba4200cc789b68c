"""Specifications, walks through their masks, and what a turn has to satisfy: for the tests of `constrain`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema

from harmony_py import Tokenizer, parse
from harmony_py.chat import Message, ToolDescription, ToolNamespaceConfig
from harmony_py.constrain import JsonSchema, Mask, Named, Regex, Text, TurnSpec
from harmony_py.tokenizer.special import CALL, CHANNEL, CONSTRAIN, END, MESSAGE, RETURN, START

if TYPE_CHECKING:
    import random

tokenizer = Tokenizer.o200k_harmony()

# -- specifications ----------------------------------------------------------------------------------------

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "unit": {"enum": ["°C", "°F", None]},
        "at": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    },
    "required": ["city", "at"],
    "additionalProperties": False,
}
TREE: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z]{1,4}$"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
OPEN: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}},
    "additionalProperties": {"type": "integer"},
}

weather = ToolDescription.new("weather", "The weather.", WEATHER)
wea = ToolDescription.new("wea", "A name that the other begins with.", {})
now = ToolDescription.new("now", "The time.")
notes = ToolNamespaceConfig(
    name="notes",
    tools=[ToolDescription.new("add-tree", "", TREE), ToolDescription.new("open_1", "", OPEN)],
)
TOOLS = (weather, wea, now, notes)

SPECS = {
    "anything": TurnSpec(),
    "tools": TurnSpec(TOOLS),
    "no_thoughts": TurnSpec(TOOLS, reasoning="forbidden"),
    "thoughts": TurnSpec(reasoning="required", preamble=False),
    "few_thoughts": TurnSpec(TOOLS, max_analysis_tokens=7),
    "must_call": TurnSpec(TOOLS, tool_choice="required", reasoning="required"),
    "named": TurnSpec(TOOLS, tool_choice=Named("weather"), preamble=False, header_styles=("channel_first",)),
    "no_call": TurnSpec(TOOLS, tool_choice="none", header_styles=("role_first",)),
    "json": TurnSpec(final=JsonSchema(WEATHER)),
    "tree": TurnSpec(final=JsonSchema(TREE), reasoning="forbidden", preamble=False),
    "open": TurnSpec(final=JsonSchema(OPEN)),
    "regex": TurnSpec(final=Regex(r"(yes|no)/[0-9]{1,3}\.?")),
    "built_in": TurnSpec((weather,), builtin_tools=("python", "browser")),
}


def argument_schemas(spec: TurnSpec) -> dict[str, Any]:
    """What may be passed to each function."""
    schemas: dict[str, Any] = {}
    for tool in [*spec.tools, *([ToolNamespaceConfig.browser()] if "browser" in spec.builtin_tools else [])]:
        named = (
            [("functions", tool)]
            if isinstance(tool, ToolDescription)
            else [(tool.name, t) for t in tool.tools]
        )
        schemas |= {
            f"{space}.{each.name}": {"maxProperties": 0} if each.parameters is None else each.parameters
            for space, each in named
        }
    return schemas


# -- what a turn has to satisfy ----------------------------------------------------------------------------


def ids(text: str) -> list[int]:
    """The tokens of `text`, in which control tokens are spelled."""
    return tokenizer.encode(text, allowed_special="all")


def check_turn(spec: TurnSpec, tokens: list[int]) -> None:
    """Everything that `spec` promises of a whole turn, asked of the strict parser and of jsonschema."""
    *before, last = parse(tokens, "assistant").messages
    assert tokens[-1] == (CALL if last.recipient else RETURN)
    for message in before:
        assert message.recipient is None
        assert message.channel in (["analysis"] if not spec.preamble else ["analysis", "commentary"])
    thoughts = [message for message in before if message.channel == "analysis"]
    assert not (thoughts and spec.reasoning == "forbidden")
    assert thoughts or spec.reasoning != "required"
    if last.recipient:
        check_call(spec, last)
    else:
        check_answer(spec, last)


def check_call(spec: TurnSpec, call: Message) -> None:
    assert spec.tool_choice != "none"
    if isinstance(spec.tool_choice, Named):
        assert call.tool_name == spec.tool_choice.name
    if call.recipient == "python":
        assert "python" in spec.builtin_tools
        return
    if call.namespace == "browser":
        assert call.channel in ("analysis", "commentary")
    else:
        assert call.channel == "commentary"
    jsonschema.validate(call.arguments().value, argument_schemas(spec)[str(call.recipient)])


def check_answer(spec: TurnSpec, answer: Message) -> None:
    assert spec.tool_choice in ("auto", "none")
    assert answer.channel == "final"
    match spec.final:
        case JsonSchema(schema):
            jsonschema.validate(json.loads(answer.text), schema)
        case Regex(pattern):
            assert re.fullmatch(pattern, answer.text)
        case Text():
            assert answer.content_type is None


# -- walks -------------------------------------------------------------------------------------------------

CONTROLS = (RETURN, CALL, END, MESSAGE, CHANNEL, START, CONSTRAIN)
BYTES = [tokenizer.encode_single_token(bytes([byte])) for byte in range(256)]
_TEXTS = [
    "assistant analysis final commentary json code yes no/12. the\n\n 東京 🚀 <|end|> <|call|>",
    "to=functions.weather to=functions.wea to=functions.now to=notes.add-tree to=notes.open_1",
    "to=python to=browser.search",
    '{"city": "Łódź", "days": 3, "at": [1.5, -2e3]} {"name":"ab","children":[{"name":"c"}]} "id" "query"',
]
WORDS = sorted(
    {
        token
        for text in _TEXTS
        for word in text.split(" ")
        for form in (word, f" {word}")
        for token in tokenizer.encode_ordinary(form)
    }
)
POOL = [*CONTROLS, *BYTES, *WORDS]
"""Few enough tokens to be asked one by one; every turn can be written with them."""

# What ends strings, objects, arrays; what they need before that; then anything else, longest first.
_CLOSING = [BYTES[byte] for byte in b'"@ZSD}],:0tfn.-{[']
_REST = sorted({*BYTES, *WORDS}, key=lambda token: -len(tokenizer.decode_single_token_bytes(token)))
_TO_THE_END = [*CONTROLS, *_CLOSING, *_REST]


_PLACES = [(token, token >> 3, 1 << (token & 7)) for token in POOL]
_ENDING_PLACES = [(token, token >> 3, 1 << (token & 7)) for token in _TO_THE_END]


def step(mask: Mask, chance: random.Random) -> int:
    """Some allowed token: a control token more often than not, so that walks get somewhere."""
    allowed = mask.allowed()
    choices = [token for token, at, bit in _PLACES if allowed[at] & bit]
    if choices[0] in CONTROLS and chance.random() < 0.3:
        choices = [token for token in choices if token in CONTROLS]
    return chance.choice(choices)


def nearest(mask: Mask) -> int:
    """The allowed token that most likely leads to the end of the turn."""
    allowed = mask.allowed()
    return next(token for token, at, bit in _ENDING_PLACES if allowed[at] & bit)


def wander(mask: Mask, chance: random.Random, steps: int) -> list[int]:
    """Take up to `steps` random tokens."""
    taken: list[int] = []
    while not mask.done and len(taken) < steps:
        taken.append(step(mask, chance))
        mask.advance(taken[-1])
    return taken


MOST_TO_FINISH = 400


def finish(mask: Mask) -> list[int]:
    """Take the shortest way out; it is an error if there is none."""
    taken: list[int] = []
    while not mask.done:
        assert len(taken) < MOST_TO_FINISH, f"no end in sight: {tokenizer.decode(taken)!r}"
        taken.append(nearest(mask))
        mask.advance(taken[-1])
    return taken
