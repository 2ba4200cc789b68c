"""P7: the structural tag, given to xgrammar itself, allows what our mask allows, but for what is listed."""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest
import xgrammar
from hypothesis import given, settings
from hypothesis import strategies as st

from harmony_py.chat import ToolDescription
from harmony_py.constrain import JsonSchema, Mask, Regex, TurnSpec, bits, to_xgrammar
from harmony_py.constrain.engine import whole_tokens
from harmony_py.constrain.turn import MOST_PRELUDES
from harmony_py.format.grammar import State
from harmony_py.tokenizer import vocab
from harmony_py.tokenizer.special import (
    ASSISTANT_ACTION_STOP_TOKENS,
    CALL,
    END,
    END_OF_TEXT,
    N_VOCAB,
    RETURN,
    SPECIAL_TOKENS,
    START_OF_TEXT,
)
from tests.turns import finish, ids, tokenizer, wander

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = (ToolDescription.new("weather", "", SCHEMA), ToolDescription.new("wea", "", SCHEMA))

SPECS = {
    "anything": TurnSpec(),
    "tools": TurnSpec(TOOLS, builtin_tools=("python",)),
    "must_call": TurnSpec(TOOLS, tool_choice="required", reasoning="required", preamble=False),
    "json": TurnSpec(final=JsonSchema(SCHEMA), reasoning="forbidden"),
    "regex": TurnSpec(final=Regex("(yes|no)/[0-9]{1,3}")),
}
"""Nothing that counts tokens, and no schema that two engines read in two ways."""


@functools.cache
def tokens() -> list[bytes]:
    names = {token: name.encode() for name, token in SPECIAL_TOKENS.items()}
    return vocab.tokens() + [names[token] for token in range(START_OF_TEXT, N_VOCAB)]


@functools.cache
def compiler(stops: tuple[int, ...]) -> xgrammar.GrammarCompiler:
    info = xgrammar.TokenizerInfo(
        tokens(), xgrammar.VocabType.RAW, vocab_size=N_VOCAB, stop_token_ids=list(stops)
    )
    # With its cache (0.2.8) a second grammar takes masks from the first that are not its own.
    return xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)


@functools.cache
def compiled(name: str) -> xgrammar.CompiledGrammar:
    return compiler((END_OF_TEXT,)).compile_structural_tag(to_xgrammar(SPECS[name]))


class Theirs:
    """xgrammar's matcher with our mask's methods."""

    def __init__(self, grammar: xgrammar.CompiledGrammar) -> None:
        self.matcher = xgrammar.GrammarMatcher(grammar)
        self.words = xgrammar.allocate_token_bitmask(1, N_VOCAB)
        for token in ids("<|start|>assistant"):
            self.advance(token)

    def allowed(self) -> bytes:
        self.matcher.fill_next_token_bitmask(self.words)
        return self.words.numpy().tobytes()[: bits.LENGTH]

    def advance(self, token: int) -> None:
        assert self.matcher.accept_token(token), tokenizer.decode([token])


@functools.cache
def listed(state: State) -> int:
    """What xgrammar allows in content and we do not: pieces of characters that are none; and within JSON and
    regular expressions control tokens whose spelling fits, which no structural tag can forbid, long
    whitespace, an escaped slash, DEL."""
    if state is not State.CONTENT:
        return 0
    odd = [
        token
        for token, text in enumerate(tokens())
        if token >= START_OF_TEXT
        or not bits.has(whole_tokens(), token)
        or (len(text) > 32 and text.isspace())
        or b"\\/" in text
        or b"\x7f" in text
    ]
    return number(bits.of(odd))


def number(mask: bytes) -> int:
    return int.from_bytes(mask, "little")


def named(mask: int) -> list[bytes]:
    return [tokens()[token] for token in bits.ids(mask.to_bytes(bits.LENGTH, "little"))][:5]


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 40))
def test_the_masks_are_the_same(name: str, seed: int, steps: int) -> None:
    ours, theirs = Mask.from_spec(SPECS[name]), Theirs(compiled(name))
    chance = random.Random(seed)
    walk = [token for token in wander(ours.copy(), chance, steps) if bits.has(whole_tokens(), token)]
    walk = [token for token in walk if b"\\" not in tokens()[token]]  # the two escape differently
    probe = ours.copy()
    walk = walk[: probe.accepts(walk)]
    for token in walk:
        probe.advance(token)
    messages = 0
    for token in [*walk, *finish(probe)]:
        messages += token == END
        if messages >= MOST_PRELUDES:
            return  # the structural tag does not count them
        mine, other = number(ours.allowed()), number(theirs.allowed())
        assert named(mine & ~other) == [], ours.explain()
        assert named(other & ~mine & ~listed(ours.state)) == [], ours.explain()
        ours.advance(token)
        theirs.advance(token)
    assert ours.done
    assert list(bits.ids(theirs.allowed())) == [END_OF_TEXT]


@pytest.mark.parametrize("stop", [CALL, RETURN])
def test_the_models_own_stop_tokens_end_a_turn_in_either_form(stop: int) -> None:
    """In the grammar or not. Before 0.2.9 there was no way out with them in it."""
    text = {
        CALL: '<|channel|>commentary to=functions.wea<|message|>{"city":""}',
        RETURN: "<|channel|>final<|message|>4",
    }[stop]
    stops = (END_OF_TEXT, *sorted(ASSISTANT_ACTION_STOP_TOKENS))
    spec = TurnSpec(TOOLS)
    for stop_in_grammar in (True, False):
        tag: dict[str, Any] = to_xgrammar(spec, stop_in_grammar=stop_in_grammar)
        theirs = Theirs(compiler(stops).compile_structural_tag(tag))
        for token in ids(text):
            theirs.advance(token)
        assert bits.has(theirs.allowed(), stop)
