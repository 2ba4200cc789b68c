"""The same ids as tiktoken's o200k_harmony and as openai-harmony, for every kind of text."""

from __future__ import annotations

import random
import sys
from functools import cache

import numpy as np
import openai_harmony
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from harmony_py import HarmonyError, Tokenizer
from harmony_py.testing.strategies import runs, spelled_tokens, texts, texts_with_surrogates
from harmony_py.tokenizer.special import LAST_RESERVED, N_VOCAB, SPECIAL_TOKENS

OURS = Tokenizer.o200k_harmony()


@cache
def theirs() -> tiktoken.Encoding:
    return tiktoken.get_encoding("o200k_harmony")


@cache
def upstream() -> openai_harmony.HarmonyEncoding:
    return openai_harmony.load_harmony_encoding(openai_harmony.HarmonyEncodingName.HARMONY_GPT_OSS)


@given(texts_with_surrogates)
def test_ordinary_ids(text: str) -> None:
    ids = theirs().encode_ordinary(text)
    assert OURS.encode_ordinary(text) == ids
    assert OURS.count(text) == len(ids)
    assert OURS.encode(text, disallowed_special=()) == ids


@given(texts)
def test_ordinary_ids_of_openai_harmony(text: str) -> None:
    assert OURS.encode_ordinary(text) == upstream().encode(text, disallowed_special=())


@given(runs, texts, st.integers(1, 40))
def test_long_runs(run: str, text: str, times: int) -> None:
    assert OURS.encode_ordinary(run * times + text) == theirs().encode_ordinary(run * times + text)


@given(st.lists(texts_with_surrogates, max_size=3).map("".join), st.sampled_from(["é", "€ ", "\U0001f600\n"]))
def test_long_texts(text: str, seam: str) -> None:
    """Longer than what becomes UTF-8 at a time, from every width of code units."""
    long = (text + seam) * (1 + 40_000 // len(text + seam))
    assert OURS.encode_ordinary(long) == theirs().encode_ordinary(long)
    assert OURS.encode(long, allowed_special="all") == theirs().encode(long, allowed_special="all")


@given(texts)
def test_every_control_token_allowed(text: str) -> None:
    assert OURS.encode(text, allowed_special="all") == theirs().encode(text, allowed_special="all")
    array = OURS.encode_to_numpy(text, allowed_special="all")
    assert np.array_equal(array, theirs().encode_to_numpy(text, allowed_special="all"))


_names = spelled_tokens | st.sampled_from(["", "a", "nope", "<|nope|>", "é", "\ud800", "\ufffd"])


@given(
    st.lists(texts_with_surrogates | spelled_tokens, max_size=4).map("".join),
    st.none() | st.just("all") | st.frozensets(spelled_tokens, max_size=3),
    st.none() | st.just("all") | st.lists(_names, max_size=3),
)
def test_policy(text: str, allowed: frozenset[str] | None, disallowed: list[str] | None) -> None:
    arguments = {"allowed_special": allowed, "disallowed_special": disallowed}
    given_arguments = {name: value for name, value in arguments.items() if value is not None}
    try:
        expected = theirs().encode(text, **given_arguments)
    except ValueError as error:
        first_line = str(error).splitlines()[0]
        # Of several names that begin at one place, tiktoken finds any, so ours need not be the same.
        with pytest.raises(HarmonyError, match="Encountered text corresponding to disallowed") as raised:
            OURS.encode(text, **given_arguments)
        found = str(raised.value).splitlines()[0]
        assert found == first_line or (disallowed is not None and "" in disallowed) or _tie(found, first_line)
        with pytest.raises(HarmonyError):
            OURS.encode_batch(["", text], **given_arguments)
    else:
        assert OURS.encode(text, **given_arguments) == expected
        assert OURS.encode_batch(["", text], **given_arguments) == [[], expected]


def _tie(ours: str, other: str) -> bool:
    """One name begins with the other."""
    a, b = (line.partition("token ")[2].rstrip(".")[:-1] for line in (ours, other))
    return a.startswith(b) or b.startswith(a)


def test_the_first_line_of_a_refusal_is_openai_harmonys() -> None:
    with pytest.raises(openai_harmony.HarmonyError) as expected:
        upstream().encode("a<|start|>")
    with pytest.raises(HarmonyError) as raised:
        OURS.encode("a<|start|>")
    assert str(raised.value).splitlines()[0] == str(expected.value).splitlines()[0]


def test_every_id_decodes_alike() -> None:
    ids = range(N_VOCAB)
    assert OURS.decode_tokens_bytes(ids) == theirs().decode_tokens_bytes(ids)
    assert [OURS.decode([i]) for i in ids] == [theirs().decode([i]) for i in ids]
    for token in range(N_VOCAB, LAST_RESERVED + 3):
        try:
            expected = upstream().decode([token])
        except openai_harmony.HarmonyError:
            with pytest.raises(KeyError, match=f"Invalid token for decoding: {token}"):
                OURS.decode([token])
        else:
            assert OURS.decode([token]) == expected


@given(st.lists(st.integers(0, N_VOCAB - 1), max_size=60), st.sampled_from(["strict", "replace", "ignore"]))
def test_decoding(ids: list[int], errors: str) -> None:
    assert OURS.decode_bytes(ids) == theirs().decode_bytes(ids)
    try:
        expected = theirs().decode(ids, errors)
    except UnicodeDecodeError as error:
        with pytest.raises(UnicodeDecodeError) as raised:
            OURS.decode(ids, errors)
        assert raised.value.args == error.args
    else:
        assert OURS.decode(ids, errors) == expected
        assert OURS.decode_batch([ids, []], errors=errors) == [expected, ""]
    assert OURS.decode_bytes_batch([ids, []]) == [theirs().decode_bytes(ids), b""]


@given(texts)
def test_offsets(text: str) -> None:
    ids = theirs().encode(text, allowed_special="all")
    assert OURS.decode_with_offsets(ids) == theirs().decode_with_offsets(ids)


@given(
    st.text("ab \n\t!1é日<|", max_size=4) | st.sampled_from(["hello fanta", "a  ", " \n ", "日本", "<|end|>"])
)
def test_unstable(text: str) -> None:
    stable, completions = OURS.encode_with_unstable(text, allowed_special="all")
    expected_stable, expected = theirs().encode_with_unstable(text, allowed_special="all")
    assert stable == expected_stable
    assert sorted(completions) == sorted(expected)


@given(
    spelled_tokens | st.sampled_from(["hello", " world", "hello world", "", "é", b"\xe6\x97", b"\xff\xfe"])
)
def test_single_tokens(token: str | bytes) -> None:
    try:
        expected = theirs().encode_single_token(token)
    except KeyError as error:
        with pytest.raises(KeyError) as raised:
            OURS.encode_single_token(token)
        assert raised.value.args == error.args
    else:
        assert OURS.encode_single_token(token) == expected


def test_every_token_is_a_single_token() -> None:
    values = OURS.token_byte_values()
    assert values == theirs().token_byte_values()
    assert sorted(map(OURS.encode_single_token, values)) == list(range(len(values)))


def test_properties() -> None:
    encoding = theirs()
    assert OURS.special_tokens_set == encoding.special_tokens_set
    assert (OURS.name, OURS.n_vocab, OURS.max_token_value, OURS.eot_token) == (
        encoding.name,
        encoding.n_vocab,
        encoding.max_token_value,
        encoding.eot_token,
    )
    # The one id past tiktoken's last is a control token to openai-harmony.
    assert [i for i in range(-1, LAST_RESERVED + 3) if OURS.is_special_token(i)] == [
        i for i in range(LAST_RESERVED + 3) if encoding.is_special_token(i) or i == LAST_RESERVED
    ]
    names = {upstream().decode([i]): i for i in range(min(SPECIAL_TOKENS.values()), LAST_RESERVED + 1)}
    assert names == {name: i for name, i in SPECIAL_TOKENS.items() if name != "<|endofprompt|>"}


@pytest.mark.parametrize("context", ["{0}", "a{0}B{0}{0}'s ", " {0}1{0}!{0}\n", "A{0}b \n{0}/  {0}"])
def test_every_code_point(context: str) -> None:
    characters = [chr(i) for i in range(sys.maxunicode + 1) if not 0xD800 <= i < 0xE000]
    for start in range(0, len(characters), 1 << 16):
        text = "".join(map(context.format, characters[start : start + (1 << 16)]))
        assert np.array_equal(
            OURS.encode_to_numpy(text, disallowed_special=()), theirs().encode_to_numpy(text)
        )


def test_neighbouring_tokens_encode_again_alike() -> None:
    """Bytes of two tokens in a row, where they are text: merged, cut or kept exactly as tiktoken does."""
    tokens = theirs().token_byte_values()
    chosen = random.Random(7).choices(tokens, k=300_000)
    pairs = (a + b for a, b in zip(chosen[::2], chosen[1::2], strict=True))
    # A line feed that a letter follows keeps the pairs apart.
    text = "\nx\n".join(filter(None, (pair.decode(errors="ignore") for pair in pairs)))
    assert np.array_equal(
        OURS.encode_to_numpy(text, disallowed_special=()),
        theirs().encode_to_numpy(text, disallowed_special=()),
    )
