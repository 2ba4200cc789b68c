"""Wrong arguments are told apart and told clearly; what Python can do with a tokenizer works."""

from __future__ import annotations

import array
import copy
import gc
import pickle
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from harmony_py import HarmonyError, Tokenizer
from harmony_py.tokenizer.special import N_VOCAB

TOKENIZER = Tokenizer.o200k_harmony()
HELLO = [24912, 2375]


def test_there_is_one_tokenizer() -> None:
    assert Tokenizer() is TOKENIZER
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(TOKENIZER, protocol)) is TOKENIZER
    assert copy.copy(TOKENIZER) is copy.deepcopy(TOKENIZER) is TOKENIZER
    assert repr(TOKENIZER) == "<Tokenizer 'o200k_harmony'>"


def test_another_process_gets_its_own() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(TOKENIZER.encode, "hello world").result(60) == HELLO


@pytest.mark.parametrize("text", [None, 5, b"hello", ["hello"], bytearray(b"hello")])
def test_text_is_str(text: object) -> None:
    methods = [
        TOKENIZER.encode,
        TOKENIZER.encode_ordinary,
        TOKENIZER.encode_to_numpy,
        TOKENIZER.encode_with_unstable,
        TOKENIZER.count,
        TOKENIZER.incremental_encoder().feed,
        lambda text: TOKENIZER.truncate(text, 3),
        lambda text: TOKENIZER.encode_batch([text]),
        lambda text: TOKENIZER.encode_ordinary_batch([text]),
    ]
    for method in methods:
        with pytest.raises(TypeError, match="str"):
            method(text)


def test_a_subclass_of_str_is_text() -> None:
    class Text(str):
        __slots__ = ()

    assert TOKENIZER.encode(Text("hello world")) == HELLO
    assert TOKENIZER.encode(Text("日本")) == TOKENIZER.encode("日本")


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ([-1], OverflowError, "-1"),
        ([2**32], OverflowError, "4294967296"),
        ([2**64], OverflowError, "18446744073709551616"),
        ([N_VOCAB + 1], KeyError, "Invalid token for decoding: 201089"),
        ([2**32 - 1], KeyError, "4294967295"),
        ([1.0], TypeError, "float"),
        (["a"], TypeError, "str"),
        ([None], TypeError, "None"),
        ("ab", TypeError, "str"),
        (5, TypeError, "Sequence"),
        ({1, 2}, TypeError, "Sequence"),
        (np.array([1.5]), TypeError, "format"),
        (np.array([[1, 2]]), TypeError, "dimension"),
        (np.array([-1]), OverflowError, "-1"),
        (np.array([2**32]), OverflowError, "4294967296"),
    ],
)
def test_ids_out_of_the_question(tokens: object, error: type[Exception], message: str) -> None:
    for method in (TOKENIZER.decode, TOKENIZER.decode_bytes, TOKENIZER.decode_with_offsets):
        with pytest.raises(error, match=message):
            method(tokens)


@pytest.mark.parametrize("dtype", ["u4", "i8", "i4", "u8", "u2", "i2"])
def test_ids_from_arrays(dtype: str) -> None:
    ids = np.array([*HELLO[1:], 0], dtype=dtype)
    expected = TOKENIZER.decode(ids.tolist())
    assert TOKENIZER.decode(ids) == expected
    assert TOKENIZER.decode(ids[::-1]) == TOKENIZER.decode(ids.tolist()[::-1])
    assert TOKENIZER.decode(memoryview(ids)) == expected
    assert TOKENIZER.decode(ids[:0]) == ""


def test_ids_from_other_sequences() -> None:
    assert TOKENIZER.decode(tuple(HELLO)) == TOKENIZER.decode(array.array("I", HELLO)) == "hello world"
    assert TOKENIZER.decode(range(3)) == TOKENIZER.decode(bytes(range(3))) == '!"#'
    assert TOKENIZER.decode([np.int64(HELLO[0]), True]) == 'hello"'


def test_a_list_that_shrinks_while_it_is_read() -> None:
    class Shrinking:
        def __index__(self) -> int:
            tokens.clear()
            return 0

    tokens: list[object] = [Shrinking(), 1, 2]
    assert TOKENIZER.decode(tokens) == "!"


def test_arguments_of_the_policy() -> None:
    for allowed in (None, "start", [1], 5):
        with pytest.raises(TypeError):
            TOKENIZER.encode("a", allowed_special=allowed)
    for disallowed in ([1], 5):
        with pytest.raises(TypeError):
            TOKENIZER.encode("a", disallowed_special=disallowed)
    with pytest.raises(TypeError):
        TOKENIZER.encode("a", {"<|start|>"})


def test_a_refusal_teaches() -> None:
    with pytest.raises(HarmonyError) as raised:
        TOKENIZER.encode("say <|start|>")
    message = str(raised.value)
    assert message.startswith("Encountered text corresponding to disallowed special token '<|start|>'.\n")
    for way_out in (
        "allowed_special={'<|start|>'}",
        "tokenizer.special_tokens_set - {'<|start|>'}",
        "disallowed_special=()",
    ):
        assert way_out in message
    assert isinstance(raised.value, ValueError)


def test_numbers_out_of_the_question() -> None:
    with pytest.raises(ValueError, match="num_threads"):
        TOKENIZER.encode_batch(["a"], num_threads=0)
    with pytest.raises(OverflowError):
        TOKENIZER.truncate("a", -1)
    with pytest.raises(TypeError):
        TOKENIZER.is_special_token("a")
    with pytest.raises(OverflowError):
        TOKENIZER.encode_segments([-1])
    with pytest.raises(TypeError):
        TOKENIZER.encode_segments([b"a"])


@pytest.mark.parametrize("threads", [1, 3])
def test_a_refusal_ends_a_batch(threads: int) -> None:
    """Lists are made while the rest is encoded; those of a batch that fails are dropped."""
    batch = ["A word, and another. " * 5_000] * 20 + ["<|start|>"]
    with pytest.raises(HarmonyError, match=r"disallowed special token '<\|start\|>'"):
        TOKENIZER.encode_batch(batch, num_threads=threads)
    assert TOKENIZER.encode_batch(batch[:-1], num_threads=threads) == [TOKENIZER.encode(batch[0])] * 20


@pytest.mark.parametrize("collecting", [True, False])
def test_a_batch_leaves_the_garbage_collector_as_it_was(collecting: bool) -> None:
    was_on = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        TOKENIZER.encode_batch(["a", "b"])
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if was_on else gc.disable)()


def test_arrays_are_views_of_the_core() -> None:
    ids = TOKENIZER.encode_to_numpy("hello world")
    assert ids.dtype == np.uint32
    assert ids.tolist() == HELLO
    assert not ids.flags.owndata
    assert not ids.flags.writeable
    view = TOKENIZER.encode_to_buffer("hello world")
    assert (view.format, view.itemsize, view.shape, view.readonly) == ("I", 4, (2,), True)
    assert view.tolist() == HELLO
    assert TOKENIZER.encode_to_numpy("").tolist() == []


def test_text_keeps_no_utf8_behind() -> None:
    """CPython's own conversion would keep a second copy of the text alive inside the `str`."""
    text = "日本語" * 1000
    before = sys.getsizeof(text)
    TOKENIZER.encode_batch([text], num_threads=2)
    TOKENIZER.encode_segments([text])
    TOKENIZER.encode(text)
    assert sys.getsizeof(text) == before


def test_threads_share_it() -> None:
    texts = [f"thread {i} says 日本 {'x' * 3000} " * 20 for i in range(4)]
    expected = [TOKENIZER.encode(text) for text in texts]
    found: list[list[int]] = [[] for _ in texts]

    def encode(index: int) -> None:
        for _ in range(5):
            found[index] = TOKENIZER.encode(texts[index])

    threads = [threading.Thread(target=encode, args=(i,)) for i in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_truncating_a_long_text_reads_little_of_it() -> None:
    text = "All work and no play. " * (1 << 22)
    begin = time.process_time()
    assert TOKENIZER.truncate(text, 7) == "All work and no play. All"
    # Encoding all of it, 92 MB, takes longer on any machine.
    assert time.process_time() - begin < 0.2
    assert TOKENIZER.count(TOKENIZER.truncate(text, 1000)) == 1000
