"""GBNF, in llama.cpp's own hands: what our mask, xgrammar's and llama.cpp's make of the same turns."""

from __future__ import annotations

import functools
import json
import random
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harmony_py.chat import ToolDescription
from harmony_py.constrain import JsonSchema, Mask, Named, Regex, TurnSpec, bits, to_gbnf
from harmony_py.constrain.engine import whole_tokens
from harmony_py.errors import ConstraintError
from harmony_py.tokenizer.special import CALL, END_OF_TEXT, RETURN, START_OF_TEXT
from tests.instances import instances
from tests.llama_library import Grammar, vocabulary
from tests.property.test_constrain_completeness import ZOO
from tests.turns import BYTES, POOL, TREE, WEATHER, check_turn, finish, ids, step, tokenizer, wander

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOLS = (
    ToolDescription.new("weather", "", WEATHER),
    ToolDescription.new("wea", "", {}),
    ToolDescription.new("now", ""),
    ToolDescription.new("add-tree", "", TREE),
)
SPECS = {
    "anything": TurnSpec(),
    "tools": TurnSpec(TOOLS),
    "must_call": TurnSpec(TOOLS, tool_choice="required", reasoning="required", preamble=False),
    "named": TurnSpec(TOOLS, tool_choice=Named("weather"), header_styles=("channel_first",)),
    "json": TurnSpec(final=JsonSchema(WEATHER)),
    "tree": TurnSpec(final=JsonSchema(TREE), reasoning="forbidden", preamble=False),
    "regex": TurnSpec(final=Regex(r"(yes|no)/[0-9]{1,3}\.?")),
    "built_in": TurnSpec(TOOLS[:1], builtin_tools=("python",)),
}
ENDS = (RETURN, CALL, END_OF_TEXT)


@functools.cache
def compiled(name: str) -> Grammar:
    return vocabulary().grammar(to_gbnf(SPECS[name]))


def begun(grammar: Grammar) -> Grammar:
    """Behind what every prompt ends with."""
    begun = grammar.copy()
    for token in ids("<|start|>assistant"):
        begun.accept(token)
    return begun


def accepted(grammar: Grammar, tokens: Sequence[int]) -> int:
    """How many of `tokens` may come, one after the other."""
    grammar = grammar.copy()
    for count, token in enumerate(tokens):
        if grammar.allowed([token]) != [token]:
            return count
        if token not in ENDS:
            grammar.accept(token)
    return len(tokens)


def tame(mask: Mask, chance: random.Random, steps: int) -> list[int]:
    """Take up to `steps` random tokens, none of them with `<`, of which GBNF allows less."""
    taken: list[int] = []
    while not mask.done and len(taken) < steps:
        token = step(mask, chance)
        if token >= START_OF_TEXT or b"<" not in tokenizer.decode_single_token_bytes(token):
            taken.append(token)
            mask.advance(token)
    return taken


# -- whole turns -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 60))
def test_what_our_mask_makes_is_accepted(name: str, seed: int, steps: int) -> None:
    mask = Mask.from_spec(SPECS[name])
    walk = [*tame(mask, random.Random(seed), steps), *finish(mask)]
    place = accepted(begun(compiled(name)), walk)
    assert tokenizer.decode(walk[:place]) == tokenizer.decode(walk)


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32))
def test_what_llama_cpp_makes_of_it_satisfies_the_specification(name: str, seed: int) -> None:
    """A walk through llama.cpp's own masks, then the shortest way out. It takes odd bytes for characters."""
    chance = random.Random(seed)
    grammar, mask, walk = begun(compiled(name)), Mask.from_spec(SPECS[name]), list[int]()
    while not mask.done and len(walk) < 60:
        allowed = mask.allowed()
        choices = [t for t in grammar.allowed(POOL) if bits.has(whole_tokens(), t) or bits.has(allowed, t)]
        assert choices, tokenizer.decode(walk)
        controls = [token for token in choices if token >= START_OF_TEXT]
        token = chance.choice(controls if controls and chance.random() < 0.3 else choices)
        if token in ENDS:  # llama.cpp takes either for the end: which one it was is not the grammar's to say
            token = next(end for end in ENDS if bits.has(allowed, end))
        walk.append(token)
        mask.advance(token)  # nothing comes that our mask does not take
        if not mask.done:
            grammar.accept(token)
    walk += finish(mask)
    check_turn(SPECS[name], walk)


MALFORMED = [
    "<|channel|>analysis<|message|>Hm<|start|>assistant",
    "<|channel|>analysis<|message|>Hm<|return|>",
    "<|channel|>final<|message|>Hi<|end|>",
    "<|channel|>commentary to=functions.weather<|message|>{}<|call|>",
    '<|channel|>commentary to=functions.weather<|message|>{"city": "x", "at": [1, 2]} <|call|>',
    "<|channel|>commentary to=functions.nothing<|message|>{}<|call|>",
    "<|channel|>nowhere<|message|>Hi<|return|>",
    "<|message|>Hi<|return|>",
    "Hi<|return|>",
    "<|channel|>final<|message|>Hi<|reserved_200000|>",
    "<|channel|>final<|message|>Hi<|message|>",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_malformed_is_refused_by_all(text: str) -> None:
    tokens = ids(text)
    mask = Mask.from_spec(SPECS["tools"])
    assert accepted(begun(compiled("tools")), tokens) == mask.accepts(tokens) < len(tokens)


@pytest.mark.parametrize("marker", ["<|end|>", "<|start|>", "<|call|>", "<|reserved_200000|>"])
def test_a_marker_cannot_be_spelled(marker: str) -> None:
    spelled = tokenizer.encode_ordinary(marker)
    grammar = begun(compiled("tools"))
    assert accepted(grammar, tokenizer.encode_ordinary("<|channel|>")) == 0
    for opened in (
        "<|channel|>final<|message|>a < b <| c",
        '<|channel|>commentary to=functions.wea<|message|>{"',
    ):
        tokens = [*ids(opened), *spelled]
        assert accepted(grammar, tokens) < len(tokens)
        assert accepted(grammar, ids(opened + "<| end |> <|end| |")) == len(
            ids(opened + "<| end |> <|end| |")
        )
    # In JSON there is another way to say it.
    tokens = ids('<|channel|>commentary to=functions.wea<|message|>{"a":"\\u003c|end|>"}<|call|>')
    assert accepted(grammar, tokens) == len(tokens)


def test_markers_as_texts_may_be_spelled() -> None:
    grammar = begun(vocabulary().grammar(to_gbnf(TurnSpec(), control_tokens="text")))
    spelled = tokenizer.encode_ordinary("<|channel|>final<|message|>Hi")
    assert accepted(grammar, spelled) == len(spelled)
    assert accepted(grammar, ids("<|channel|>final<|message|>Hi<|return|>")) == 5
    with pytest.raises(ConstraintError, match="expected 'id' or 'text', found 'name'"):
        to_gbnf(TurnSpec(), control_tokens="name")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["anything", "tools", "json"])
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 40))
def test_the_masks_are_the_same(name: str, seed: int, steps: int) -> None:
    """On all ordinary tokens that are whole characters, and all control tokens but the ends."""
    mask, grammar = Mask.from_spec(SPECS[name]), begun(compiled(name))
    walk = [token for token in wander(mask.copy(), random.Random(seed), steps) if token not in ENDS]
    walk = walk[: accepted(grammar, walk)]
    walk = walk[: mask.accepts(walk)]
    for token in walk:
        grammar.accept(token)
        mask.advance(token)
    every = [token for token in bits.ids(whole_tokens()) if token not in ENDS]
    theirs = set(grammar.allowed(every))
    ours = {token for token in every if bits.has(mask.allowed(), token)}
    assert [tokenizer.decode([token]) for token in sorted(theirs - ours)][:5] == []
    narrower = [token for token in ours - theirs if not is_listed(token)]
    assert [tokenizer.decode([token]) for token in narrower][:5] == [], mask.explain()


def is_listed(token: int) -> bool:
    """What only our mask allows: what could spell a marker, `<` in strings of limited length, and NUL."""
    text = tokenizer.decode([token])
    return "<" in text or ">" in text or text.startswith("\x00")


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
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-200, 200) | st.text(max_size=6) | st.floats(-2, 2),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcozkp"), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_what_is_no_instance_is_refused(name: str, value: Any) -> None:
    assume(not jsonschema.Draft202012Validator(ZOO[name]).is_valid(value))
    assert not fits(name, limited(value))


@pytest.mark.parametrize("name", REFUSED)
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
