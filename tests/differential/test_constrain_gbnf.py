"""GBNF, in llama.cpp's own hands: what our mask, xgrammar's and llama.cpp's make of the same turns."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from harmony_py.chat import ToolDescription
from harmony_py.constrain import JsonSchema, Mask, Named, Regex, TurnSpec, bits, to_gbnf, to_xgrammar
from harmony_py.constrain.engine import whole_tokens
from harmony_py.constrain.turn import MOST_PRELUDES
from harmony_py.errors import ConstraintError
from harmony_py.tokenizer.special import CALL, END, END_OF_TEXT, MESSAGE, RETURN, START, START_OF_TEXT
from tests.differential.test_constrain_xgrammar import Theirs, compiler
from tests.llama_library import Grammar, vocabulary
from tests.turns import POOL, TREE, WEATHER, check_turn, finish, ids, step, tokenizer, wander

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xgrammar

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
    """Take up to `steps` random tokens, none of them with `<` or NUL, of which GBNF allows less."""
    taken: list[int] = []
    while not mask.done and len(taken) < steps:
        token = step(mask, chance)
        if token >= START_OF_TEXT or not {*b"<\0"} & {*tokenizer.decode_single_token_bytes(token)}:
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


@pytest.mark.parametrize("name", ["anything", "tools", "must_call", "json", "regex"])
@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**32),
    steps=st.integers(0, 40),
    spoilt=st.none() | st.integers(0, 60),
    data=st.data(),
)
def test_lark_xgrammar_and_gbnf_agree(
    name: str, seed: int, steps: int, spoilt: int | None, data: st.DataObject
) -> None:
    """On turns, and on turns with a token too many somewhere: how far each of them goes along."""
    mask = Mask.from_spec(SPECS[name])
    chance = random.Random(seed)
    walk = [*tame(mask, chance, steps), *finish(mask)]
    if spoilt is not None:
        walk.insert(spoilt % len(walk), data.draw(st.sampled_from([START, END, MESSAGE, *ids(" a1{")])))
    assume(sum(token == END for token in walk) < MOST_PRELUDES)  # which a structural tag does not count
    assume(all(bits.has(whole_tokens(), token) for token in walk))
    ours = Mask.from_spec(SPECS[name]).accepts(walk)
    assert accepted(begun(compiled(name)), walk) == ours
    theirs = taken_by_xgrammar(name, walk)
    # In JSON and regular expressions xgrammar takes a control token for its spelling.
    assert theirs == ours or (theirs > ours and walk[ours] >= START_OF_TEXT)


@functools.cache
def tag(name: str) -> xgrammar.CompiledGrammar:
    return compiler((END_OF_TEXT,)).compile_structural_tag(to_xgrammar(SPECS[name]))


def taken_by_xgrammar(name: str, tokens: Sequence[int]) -> int:
    theirs = Theirs(tag(name))
    for count, token in enumerate(tokens):
        if not theirs.matcher.accept_token(token):
            return count
    return len(tokens)


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
@example(seed=3787, steps=12)  # an object without members: its whitespace comes once
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
