"""The control tokens: names and ids as gpt-oss has them."""

from __future__ import annotations

from harmony_py.tokenizer import special


def test_every_id_past_the_vocabulary_has_a_name() -> None:
    assert sorted(set(special.SPECIAL_TOKENS.values())) == list(
        range(special.START_OF_TEXT, special.LAST_RESERVED + 1)
    )


def test_text_becomes_every_id_but_the_last() -> None:
    assert set(special.ENCODABLE.values()) == set(range(special.START_OF_TEXT, special.N_VOCAB))
    assert {f"<|reserved_{special.LAST_RESERVED}|>": special.LAST_RESERVED} == special.DECODE_ONLY
    assert special.ENCODABLE.keys() | special.DECODE_ONLY.keys() == special.SPECIAL_TOKENS.keys()


def test_two_names_share_one_id() -> None:
    names = [name for name, token in special.SPECIAL_TOKENS.items() if token == special.END_OF_PROMPT]
    assert names == [special.END_OF_PROMPT_NAME, f"<|reserved_{special.END_OF_PROMPT}|>"]
    assert list(special.ENCODABLE)[-1] == special.END_OF_PROMPT_NAME


def test_the_stop_sets() -> None:
    assert special.ASSISTANT_ACTION_STOP_TOKENS < special.STOP_TOKENS
    assert {"<|return|>", "<|call|>", "<|end|>"} == {
        name for name, token in special.SPECIAL_TOKENS.items() if token in special.STOP_TOKENS
    }
