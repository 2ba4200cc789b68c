"""Every tokenizer measured, behind the same few calls. One function a library; it alone imports it.

Each is given its fastest published way to do the thing asked; text is encoded as text, control tokens unread.
"""

from __future__ import annotations

import itertools
import os
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Engine(NamedTuple):
    """What a library can do; `None` where it has no such call."""

    to_list: Callable[[str], list[int]]
    to_array: Callable[[str], Any] | None = None
    """Ids in anything that has the buffer protocol, 32 bits each."""
    decode: Callable[[list[int]], Any] | None = None
    count: Callable[[str], int] | None = None
    """Only where the library counts without making the ids."""
    batch: Callable[[list[str], int], Any] | None = None
    """Many texts on so many threads."""
    flatten: Callable[[Any], Any] = lambda result: array("I", itertools.chain.from_iterable(result))
    """The ids that `batch` returned, one text after another, as a buffer."""
    long: Callable[[str, int], Any] | None = None
    """One text on so many threads."""


class Library(NamedTuple):
    distribution: str
    module: str
    load: Callable[[Path], Engine]
    """From the folder that `vocabularies.prepare` filled. Imports the library."""


def _ours(folder: Path) -> Engine:
    from harmony_py import Tokenizer

    ours: Any = Tokenizer.o200k_harmony()
    to_array = getattr(ours, "encode_to_numpy", None)
    batch = getattr(ours, "encode_ordinary_batch", None)
    return Engine(
        to_list=ours.encode_ordinary,
        to_array=to_array and (lambda text: to_array(text, disallowed_special=())),
        decode=ours.decode,
        count=getattr(ours, "count", None),
        batch=batch and (lambda texts, threads: batch(texts, num_threads=threads)),
    )


def _tiktoken(folder: Path) -> Engine:
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    import tiktoken

    encoding = tiktoken.get_encoding("o200k_harmony")
    return Engine(
        to_list=encoding.encode_ordinary,
        to_array=lambda text: encoding.encode_to_numpy(text, disallowed_special=()),
        decode=encoding.decode,
        batch=lambda texts, threads: encoding.encode_ordinary_batch(texts, num_threads=threads),
    )


def _openai_harmony(folder: Path) -> Engine:
    os.environ["TIKTOKEN_ENCODINGS_BASE"] = str(folder)
    import openai_harmony

    encoding = openai_harmony.load_harmony_encoding("HarmonyGptOss")
    return Engine(
        to_list=lambda text: encoding.encode(text, disallowed_special=()),
        decode=encoding.decode,
    )


def _tokenizers(folder: Path) -> Engine:
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return Engine(
        to_list=lambda text: tokenizer.encode(text).ids,
        decode=tokenizer.decode,
        batch=lambda texts, threads: tokenizer.encode_batch_fast(texts),
        flatten=lambda result: array("I", itertools.chain.from_iterable(encoding.ids for encoding in result)),
    )


def _fastokens(folder: Path) -> Engine:
    import fastokens

    tokenizer = fastokens.Tokenizer.from_tiktoken(str(folder / "o200k_base.tiktoken"), encoding="o200k_base")
    return Engine(
        to_list=lambda text: tokenizer.encode_ordinary(text).ids,
        to_array=lambda text: tokenizer.encode_batch_flat([text], split_special_tokens=True)[0],
        decode=tokenizer.decode,
        batch=lambda texts, threads: tokenizer.encode_batch_flat(texts, split_special_tokens=True),
        flatten=lambda result: result[0],
    )


def _gigatoken(folder: Path) -> Engine:
    import gigatoken

    tokenizer = gigatoken.Tokenizer.from_tiktoken(
        folder / "o200k_base.tiktoken", pretokenizer="o200k", special_tokens={}
    )
    return Engine(
        to_list=lambda text: tokenizer.encode(text).tolist(),
        to_array=tokenizer.encode,
        decode=tokenizer.decode,
        batch=lambda texts, threads: tokenizer.encode_batch(texts, parallel=threads > 1),
        flatten=_awkward_values,
    )


def _awkward_values(result: Any) -> Any:
    import awkward

    return awkward.to_numpy(awkward.flatten(result))


def _quicktok(folder: Path) -> Engine:
    import quicktok

    encoding = quicktok.get_encoding("o200k_harmony")
    return Engine(
        to_list=encoding.encode_ordinary,
        to_array=lambda text: encoding.encode_batch([text], 1)[0],
        decode=encoding.decode,
        count=encoding.count,
        batch=encoding.encode_batch,
        flatten=lambda result: result[0],
    )


def _splintr(folder: Path) -> Engine:
    import splintr

    tokenizer = splintr.Tokenizer.from_pretrained("o200k_harmony")
    return Engine(
        to_list=tokenizer.encode_ordinary,
        to_array=tokenizer.encode_flat,
        decode=tokenizer.decode,
        batch=lambda texts, threads: tokenizer.encode_batch_flat(texts),
        flatten=lambda result: result[0],
    )


LIBRARIES = {
    "ours": Library("harmony-py", "harmony_py", _ours),
    "tiktoken": Library("tiktoken", "tiktoken", _tiktoken),
    "tokenizers": Library("tokenizers", "tokenizers", _tokenizers),
    "fastokens": Library("fastokens", "fastokens", _fastokens),
    "gigatoken": Library("gigatoken", "gigatoken", _gigatoken),
    "quicktok": Library("quicktok-v1", "quicktok", _quicktok),
    "splintr": Library("splintr-rs", "splintr", _splintr),
    "openai-harmony": Library("openai-harmony", "openai_harmony", _openai_harmony),
}

DEFAULT = ("ours", "tiktoken", "tokenizers", "fastokens", "gigatoken", "quicktok")
"""The others are measured when they are named and installed."""

REFERENCE = "tiktoken"
"""Whose ids are right by definition."""


def thread_environment(threads: int) -> dict[str, str]:
    """What makes the libraries that start their own threads start `threads` of them."""
    return {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": str(threads > 1).lower()}
