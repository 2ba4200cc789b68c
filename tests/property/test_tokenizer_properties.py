"""What holds of the tokenizer whatever the text: fast ways equal slow ones, streams equal the whole."""

from __future__ import annotations

import sys

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from harmony_py import Tokenizer
from harmony_py.testing.strategies import chunked, runs, spelled_tokens, texts, texts_with_surrogates
from harmony_py.tokenizer.reference import ReferenceTokenizer
from harmony_py.tokenizer.special import ENCODABLE, N_VOCAB

TOKENIZER = Tokenizer.o200k_harmony()
ids = st.lists(st.integers(0, N_VOCAB - 1), max_size=60)


@pytest.fixture(scope="module")
def reference() -> ReferenceTokenizer:
    return ReferenceTokenizer()


@given(text=texts_with_surrogates)
def test_the_slow_twin_agrees(reference: ReferenceTokenizer, text: str) -> None:
    assert TOKENIZER.encode_ordinary(text) == reference.encode_ordinary(text)


def test_the_slow_twin_with_a_vocabulary_of_its_own() -> None:
    small = ReferenceTokenizer([b"a", b"b", b"c", b"ab", b"bc", b"abc"])
    assert small.encode_ordinary("abcb") == [5, 1]
    assert small.encode_ordinary("bcc") == [4, 2]
    assert small.decode_bytes([5, 3]) == b"abcab"


@given(texts)
def test_ordinary_text_comes_back_whole(text: str) -> None:
    encoded = TOKENIZER.encode_ordinary(text)
    assert TOKENIZER.decode(encoded) == text
    assert TOKENIZER.decode_bytes(encoded) == text.encode()
    assert all(token not in ENCODABLE.values() for token in encoded)


@given(st.lists(texts_with_surrogates, max_size=8), st.integers(1, 4))
def test_batches(batch: list[str], threads: int) -> None:
    expected = [TOKENIZER.encode(text, allowed_special="all") for text in batch]
    assert TOKENIZER.encode_batch(batch, num_threads=threads, allowed_special="all") == expected
    ordinary = [TOKENIZER.encode_ordinary(text) for text in batch]
    assert TOKENIZER.encode_ordinary_batch(batch, num_threads=threads) == ordinary


@given(st.lists(texts, min_size=1, max_size=3).map("".join), st.integers(1, 4))
def test_one_long_text_over_threads(text: str, threads: int) -> None:
    long = (text + "é ") * (200_000 // (len(text) + 2))
    for document in (long, long.encode("ascii", "replace").decode()):
        (encoded,) = TOKENIZER.encode_batch([document], num_threads=threads, allowed_special="all")
        assert encoded == TOKENIZER.encode(document, allowed_special="all")


@given(st.lists(texts_with_surrogates | st.integers(0, N_VOCAB - 1), max_size=8))
def test_segments(segments: list[str | int]) -> None:
    encoded, ends = TOKENIZER.encode_segments(segments)
    parts = [[s] if isinstance(s, int) else TOKENIZER.encode_ordinary(s) for s in segments]
    assert encoded == [token for part in parts for token in part]
    assert [encoded[start:end] for start, end in zip([0, *ends], ends, strict=False)] == parts
    assert TOKENIZER.encode_segments(tuple(segments)) == (encoded, ends)


@given(chunked(texts_with_surrogates))
@example(("\ud83d\ude00", ["\ud83d", "\ude00"]))
@example(("\ud83dé", ["\ud83d", "", "é"]))
@example(("a  1b c", ["a  1b c"]))
def test_a_growing_text_is_encoded_like_the_whole(case: tuple[str, list[str]]) -> None:
    text, chunks = case
    encoder = TOKENIZER.incremental_encoder()
    for _ in range(2):  # `finish` makes it new again.
        encoded = [token for chunk in chunks for token in encoder.feed(chunk)] + encoder.finish()
        assert encoded == TOKENIZER.encode_ordinary(text)


@given(texts.filter(lambda text: len(text.encode()) < 1 << 13))
def test_a_growing_text_is_encoded_soon(text: str) -> None:
    """What is held back is two pieces at most, unless one of them is longer than anybody's word."""
    prose = "a word, and then another one. " * 20
    encoder = TOKENIZER.incremental_encoder()
    encoder.feed(text)
    given_out = sum(len(encoder.feed(character)) for character in prose)
    assert given_out >= TOKENIZER.count(prose) - 4


@given(runs, st.integers(1, 100), st.integers(1, 40))
def test_a_growing_run_is_encoded_like_the_whole(run: str, times: int, size: int) -> None:
    text = run * times
    encoder = TOKENIZER.incremental_encoder()
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    encoded = [token for chunk in chunks for token in encoder.feed(chunk)] + encoder.finish()
    assert encoded == TOKENIZER.encode_ordinary(text)


@given(ids, st.sampled_from(["replace", "ignore", "backslashreplace"]), st.data())
def test_a_stream_is_decoded_like_the_whole(tokens: list[int], errors: str, data: st.DataObject) -> None:
    decoder = TOKENIZER.stream_decoder(errors)
    expected = TOKENIZER.decode(tokens, errors)
    for _ in range(2):
        assert "".join(map(decoder.push, tokens)) + decoder.finish() == expected
    cut = data.draw(st.integers(0, len(tokens)))
    assert decoder.feed(tokens[:cut]) + decoder.feed(tokens[cut:]) + decoder.finish() == expected


@given(texts)
def test_a_stream_never_returns_half_a_character(text: str) -> None:
    decoder = TOKENIZER.stream_decoder()
    seen = ""
    for token in TOKENIZER.encode_ordinary(text):
        seen += decoder.push(token)
        assert text.startswith(seen)
    assert (seen, decoder.finish()) == (text, "")


@given(texts | runs, st.integers(0, 60))
def test_truncation(text: str, most: int) -> None:
    start = TOKENIZER.truncate(text, most)
    encoded = TOKENIZER.encode_ordinary(text)
    assert text.startswith(start)
    assert TOKENIZER.count(start) <= most
    if len(encoded) <= most:
        assert start == text
        return
    # Nothing between the result and the end of the first `most` ids would have done.
    for kept in range(most, -1, -1):
        longest = TOKENIZER.decode(encoded[:kept], "ignore")
        if TOKENIZER.count(longest) <= most:
            assert start == longest
            return


@given(texts_with_surrogates)
def test_truncation_joins_and_replaces_surrogates(text: str) -> None:
    assume(any("\ud800" <= character < "\ue000" for character in text))
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    count = TOKENIZER.count(text)
    assert TOKENIZER.truncate(text, count) == text
    assert TOKENIZER.truncate(text, max(0, count - 1)) == TOKENIZER.truncate(whole, max(0, count - 1))


@given(st.lists(texts | spelled_tokens, max_size=6).map("".join))
def test_control_tokens_are_the_allowed_ones(text: str) -> None:
    allowed = {"<|start|>", "<|end|>"}
    encoded = TOKENIZER.encode(text, allowed_special=allowed, disallowed_special=())
    control = [token for token in encoded if TOKENIZER.is_special_token(token)]
    assert {TOKENIZER.decode([token]) for token in control} <= allowed
    assert len(control) == sum(text.count(name) for name in allowed)
    assert TOKENIZER.decode(encoded) == text


@given(st.lists(st.integers(0, N_VOCAB - 1), max_size=20))
def test_shared_ints_are_counted(tokens: list[int]) -> None:
    big = [token for token in tokens if token > 256]
    shared, _ = TOKENIZER.encode_segments(big)
    before = [sys.getrefcount(token) for token in shared]
    held = [TOKENIZER.encode_segments(big)[0] for _ in range(10)]
    during = [sys.getrefcount(token) for token in shared]
    assert during == [count + 10 * big.count(token) for count, token in zip(before, shared, strict=True)]
    del held
    assert [sys.getrefcount(token) for token in shared] == before
    assert shared == big
