"""The mask's own manners: errors that stay, budgets, prompts, words for people, arrays for hosts."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch

from harmony_py.constrain import ControlMask, Mask, Position, Regex, TurnSpec, bits, to_lark
from harmony_py.constrain.engine import vocabulary
from harmony_py.constrain.pointer import pointer
from harmony_py.errors import ConstraintError
from harmony_py.format.grammar import State
from harmony_py.tokenizer.special import (
    CALL,
    CHANNEL,
    END,
    END_OF_TEXT,
    LAST_RESERVED,
    MESSAGE,
    N_VOCAB,
    RETURN,
    START,
    START_OF_TEXT,
)
from tests.turns import BYTES, SPECS, ids, tokenizer


def after(mask: Mask | ControlMask, text: str) -> None:
    for token in ids(text):
        mask.advance(token)


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [START, END_OF_TEXT, LAST_RESERVED, 0, -1, 2**40, N_VOCAB, 201_100])
def test_a_refused_token_is_an_error_and_stays_one(token: int) -> None:
    mask = Mask.from_spec(SPECS["tools"])
    after(mask, "<|channel|>")
    untouched = mask.copy()
    with pytest.raises(ConstraintError) as caught:
        mask.advance(token)
    assert caught.value.where == "token 1 of the turn"
    assert "may not come in a header, after '<|start|>assistant<|channel|>'. Allowed: " in caught.value.reason
    for again in (mask.allowed, mask.legal_specials, lambda: mask.advance(35644), lambda: mask.rollback(1)):
        with pytest.raises(ConstraintError, match="token 1 of the turn"):
            again()
    with pytest.raises(ConstraintError):
        mask.accepts([])
    with pytest.raises(ConstraintError):
        mask.copy().allowed()
    assert mask.explain() == str(caught.value)
    assert untouched.accepts(ids("final")) == 1


def test_rollback_goes_no_further_than_the_prompt() -> None:
    mask = Mask.from_spec(SPECS["tools"], ids("<|start|>assistant<|channel|>final"))
    after(mask, "<|message|>a")
    with pytest.raises(ConstraintError) as caught:
        mask.copy().rollback(3)
    assert str(caught.value) == "rollback: 3 tokens cannot be taken back, 2 have been taken"
    with pytest.raises(ConstraintError):
        mask.copy().rollback(-1)
    mask.rollback(2)
    assert mask.legal_specials() == {MESSAGE}


def test_behind_the_end_of_a_turn_only_the_end_of_text_comes() -> None:
    for mask in (Mask.from_spec(SPECS["anything"]), ControlMask()):
        after(mask, "<|channel|>final<|message|>4")
        before = mask.allowed()
        for token in (RETURN, END_OF_TEXT, END_OF_TEXT):
            mask.advance(token)
            assert mask.done
            assert list(bits.ids(mask.allowed())) == [END_OF_TEXT]
        mask.rollback(3)
        assert not mask.done
        assert mask.allowed() == before
        mask.advance(RETURN)
        with pytest.raises(ConstraintError, match="after the end of the turn"):
            mask.advance(START)


# -- budget ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", range(8))
def test_thoughts_end_when_their_budget_is_spent(budget: int) -> None:
    mask = Mask.from_spec(TurnSpec(max_analysis_tokens=budget, reasoning="required"))
    after(mask, "<|channel|>analysis<|message|>")
    for left in range(budget, 0, -1):
        assert f"{left} of {budget} tokens of thought are left" in mask.explain()
        assert bits.count(mask.allowed()) > 1
        mask.advance(ids(" a")[0])
    assert mask.legal_specials() == {END}
    assert bits.count(mask.allowed()) == 1
    after(mask, "<|end|><|start|>assistant<|channel|>commentary<|message|>Not a thought, and never counted")
    assert bits.count(mask.allowed()) > 100_000
    after(mask, "<|end|><|start|>assistant<|channel|>analysis<|message|>")
    assert list(bits.ids(mask.allowed())) == [END]
    mask.rollback(3)
    assert mask.legal_specials() == {CHANNEL}


@pytest.mark.parametrize("budget", range(1, 8))
def test_no_budget_ends_within_a_character(budget: int) -> None:
    """Bytes of characters as long as it lets us: in the end they are characters, and no more than allowed."""
    mask = Mask.from_spec(TurnSpec(max_analysis_tokens=budget))
    after(mask, "<|channel|>analysis<|message|>")
    text = "é東🚀🚀".encode()
    spent = 0
    while list(bits.ids(mask.allowed())) != [END]:
        token = next(
            (t for t in (BYTES[text[spent % len(text)]], ids("a")[0]) if bits.has(mask.allowed(), t)), None
        )
        assert token is not None
        mask.advance(token)
        spent += 1
    assert spent <= budget
    mask.advance(END)


def test_a_budget_counts_what_the_prompt_has_thought() -> None:
    spec = TurnSpec(max_analysis_tokens=4)
    thought = "<|start|>assistant<|channel|>analysis<|message|>a b<|end|>"
    prompt = f"<|start|>user<|message|>Hi<|end|>{thought}<|start|>assistant"
    mask = Mask.from_spec(spec, ids(f"{prompt}<|channel|>analysis<|message|> c"))
    assert bits.count(mask.allowed()) > 1
    mask.advance(ids(" d")[0])
    assert list(bits.ids(mask.allowed())) == [END]
    overdrawn = Mask.from_spec(spec, ids(f"{prompt}<|channel|>analysis<|message|> c d e f g h"))
    assert list(bits.ids(overdrawn.allowed())) == [END]


# -- prompts -----------------------------------------------------------------------------------------------


def test_positions() -> None:
    begun = ids("<|start|>assistant")
    assert Position.of([]) == Position(open=tuple(begun))
    assert Position.of(ids("<|start|>user<|message|>Hi<|end|>")) == Position()
    assert Position.of(ids("<|start|>user<|message|>Hi<|end|><|start|>assistant")) == Position(
        open=tuple(begun)
    )
    thought = ids("<|start|>assistant<|channel|>analysis<|message|>a b c<|end|>")
    words = ids("<|start|>assistant<|channel|>commentary<|message|>Hello<|end|>")
    assert Position.of([*thought, *words, *begun]) == Position(True, 3, tuple(begun))
    call = ids("<|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|>")
    result = ids("<|start|>functions.f to=assistant<|channel|>commentary<|message|>1<|end|>")
    assert Position.of([*thought, *call, *result, *begun]) == Position(open=tuple(begun))


def test_required_thoughts_may_be_in_the_prompt() -> None:
    spec = SPECS["thoughts"]
    fresh = ids("<|start|>user<|message|>Hi<|end|><|start|>assistant")
    assert Mask.from_spec(spec, fresh).accepts(ids("<|channel|>final")) == 1
    thought = ids("<|start|>assistant<|channel|>analysis<|message|><|end|><|start|>assistant")
    mask = Mask.from_spec(spec, [*fresh[:-2], *thought])
    assert mask.accepts(ids("<|channel|>final<|message|>4<|return|>")) == 5


@pytest.mark.parametrize(
    ("prompt", "index", "refused"),
    [
        ("<|start|>user<|message|>Hi<|end|><|start|>user", 5, "'user'"),
        ("<|start|>assistant<|channel|>final", 3, "'final'"),
        ("<|start|>assistant to=functions.rm", 4, "'.rm'"),
        ('<|start|>assistant<|channel|>commentary to=functions.weather<|message|>{"town', 12, "'town'"),
        ("<|channel|>commentary<|message|>", 3, "'<|message|>'"),
    ],
)
def test_a_prompt_that_begins_something_else_is_an_error(prompt: str, index: int, refused: str) -> None:
    spec = TurnSpec(SPECS["tools"].tools, tool_choice="required", preamble=False)
    with pytest.raises(ConstraintError) as caught:
        Mask.from_spec(spec, ids(prompt))
    assert f"{refused} is not what the specification allows there; the prompt ends in " in caught.value.reason
    assert caught.value.where.startswith("prompt, token ")


def test_a_prompt_may_end_anywhere_in_a_call() -> None:
    mask = Mask.from_spec(SPECS["tools"], ids('<|channel|>commentary to=functions.weather<|message|>{"ci'))
    assert mask.state is State.CONTENT
    after(mask, 'ty": "Łódź", "at": [1, 2]}')
    assert mask.legal_specials() == {CALL}


# -- for people and hosts ----------------------------------------------------------------------------------


def test_explanations() -> None:
    mask = Mask.from_spec(SPECS["tools"])
    assert (
        mask.explain() == "In a header, after '<|start|>assistant'. Allowed: '<|channel|>'; ' ', ' t', ' to'."
    )
    after(mask, " to=functions.now<|channel|>commentary<|message|>{")
    assert mask.explain().startswith("In a call of functions.now, after '{'. Allowed: ")
    assert "tokens of text, such as " in mask.explain()
    mask.rollback(1)
    after(mask, "{}")
    assert mask.explain() == "In a call of functions.now, after '{}'. Allowed: '<|call|>'."
    after(mask, "<|call|>")
    assert mask.explain() == "After the end of the turn. Allowed: '<|endoftext|>'."


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("", ""),
        ("{", ""),
        ('{"da', ""),
        ('{"days"', ""),
        ('{"days": 1', "/days"),
        ('{"days": 1, ', ""),
        ('{"a": {"b": ["x, }", [', "/a/b/1/0"),
        (r'{"a\"}": "\\", "c": {"d": 1}, "e": {', "/e"),
        ("[1, [2, 3], {", "/2"),
        ("[[], {}]", ""),
        ('"text {', ""),
    ],
)
def test_the_place_in_a_json_text(text: str, inner: str) -> None:
    assert pointer(text) == inner


def test_a_refusal_names_the_place_in_the_arguments() -> None:
    mask = Mask.from_spec(SPECS["tools"])
    after(mask, '<|channel|>commentary to=functions.weather<|message|>{"city": "x", "days": 1')
    with pytest.raises(
        ConstraintError, match=r"'99' may not come in a call of functions.weather at /days, after "
    ):
        after(mask, "99")


@pytest.mark.parametrize("kind", [Mask, ControlMask])
@pytest.mark.parametrize("array", [np.array, torch.tensor])
def test_the_elements_of_arrays_are_taken_like_ints(kind: Any, array: Any) -> None:
    mask = Mask.from_spec(TurnSpec()) if kind is Mask else ControlMask()
    for token in array(ids("<|channel|>final<|message|>Hi.<|return|>")):
        mask.advance(token)
    assert mask.done


def test_masks_as_arrays() -> None:
    mask = Mask.from_spec(TurnSpec(final=Regex("[ab]")), ids("<|channel|>final<|message|>"))
    wanted = sorted(token for text in ("a", "b") for token in ids(text))
    assert list(bits.ids(mask.allowed())) == wanted
    assert bits.of(wanted) == mask.allowed()
    for words in (mask.allowed_numpy(), mask.allowed_torch().numpy()):
        assert words.dtype == np.int32
        assert np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist() == wanted


@pytest.mark.parametrize("width", [N_VOCAB, N_VOCAB + 1000, N_VOCAB - 88, 100])
def test_logits_are_restricted(width: int) -> None:
    mask = bits.of([1, 64, 99, START_OF_TEXT, N_VOCAB - 1])
    logits = torch.zeros(2, width)
    restricted = bits.restrict(logits, mask)
    allowed = [token for token in bits.ids(mask) if token < width]
    assert torch.isfinite(restricted).nonzero()[:, 1].tolist() == allowed * 2
    assert torch.isfinite(logits).all()


def test_the_control_mask_knows_no_specification() -> None:
    mask = ControlMask()
    assert mask.legal_specials() == {CHANNEL, MESSAGE, ids("<|constrain|>")[0]}
    after(mask, "<|channel|>nonsense<|message|>")
    twin = mask.copy()
    with pytest.raises(
        ConstraintError, match="may not come in the content of nonsense, at its beginning; expected text or"
    ):
        mask.advance(START)
    twin.rollback(1)
    assert twin.state is State.CHANNEL


def test_a_grammar_that_leaves_the_stop_to_its_host_ends_right_before_it() -> None:
    from llguidance import LLMatcher

    for text, spec in (
        ("<|channel|>final<|message|>yes", TurnSpec(final=Regex("yes"))),
        ("<|channel|>commentary to=functions.now<|message|>{}", SPECS["must_call"]),
    ):
        grammar = to_lark(
            spec, Position(thought=True, open=tuple(ids("<|start|>assistant"))), stop_in_grammar=False
        )
        matcher = LLMatcher(vocabulary(), grammar, log_level=0)
        *before, last = ids(text)
        assert matcher.consume_tokens(before)
        assert not matcher.is_accepting()
        assert matcher.consume_token(last)
        assert matcher.is_accepting()
        assert list(bits.ids(matcher.compute_bitmask())) == [END_OF_TEXT]


def test_one_vocabulary_serves_all_threads() -> None:
    def walk() -> None:
        mask = Mask.from_spec(SPECS["tools"])
        after(
            mask, '<|channel|>commentary to=functions.weather<|message|>{"city": "x", "at": [1, 2]}<|call|>'
        )
        finished.append(mask.done)

    finished: list[bool] = []
    threads = [threading.Thread(target=walk) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert finished == [True] * 8
    assert vocabulary() is vocabulary()
    assert vocabulary().eos_token == END_OF_TEXT
    assert tokenizer.n_vocab == vocabulary().vocab_size


def test_grammars_and_control_masks_need_no_engine() -> None:
    script = (
        "import sys\n"
        "sys.modules['llguidance'] = None\n"
        "from harmony_py.constrain import ControlMask, Mask, TurnSpec, to_lark, to_xgrammar\n"
        "assert to_lark(TurnSpec()) and to_xgrammar(TurnSpec()) and ControlMask().allowed()\n"
        "try: Mask.from_spec(TurnSpec())\n"
        "except ImportError as error: assert 'harmony-py[constrain]' in str(error)\n"
        "else: raise SystemExit('no error')\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
