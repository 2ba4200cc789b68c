"""Every tokenizer measured, behind the same few calls: one function a library, which is given the module.

Each is given its fastest published way to do the thing asked; text is encoded as text, control tokens unread.
"""

from __future__ import annotations

import importlib
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
    count_only: Callable[[str], int] | None = None
    """Where the library counts without making the ids."""
    batch: Callable[[list[str], int], Any] | None = None
    """Many texts on so many threads."""
    whole_piece: Callable[[str], list[int]] | None = None
    """Merge without splitting: only asked of the reference, where its splitting fails."""
    flatten: Callable[[Any], Any] = lambda result: array("I", itertools.chain.from_iterable(result))
    """The ids that `batch` returned, one text after another, as a buffer."""


class Library(NamedTuple):
    distribution: str
    module: str
    adapt: Callable[[Any, Path], Engine]

    def load(self, vocabulary: Path) -> Engine:
        """Import the library and have it load from the folder that `vocabularies.prepare` filled."""
        return self.adapt(importlib.import_module(self.module), vocabulary)


def _ours(harmony_py: Any, folder: Path) -> Engine:
    tokenizer = harmony_py.Tokenizer.o200k_harmony()
    return _with_tiktokens_methods(tokenizer)._replace(
        to_array=lambda text: tokenizer.encode_to_buffer(text, disallowed_special=()),
        count_only=tokenizer.count,
    )


def _tiktoken(tiktoken: Any, folder: Path) -> Engine:
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    encoding = tiktoken.get_encoding("o200k_harmony")
    return _with_tiktokens_methods(encoding)._replace(whole_piece=encoding._encode_single_piece)


def _with_tiktokens_methods(encoding: Any) -> Engine:
    return Engine(
        to_list=encoding.encode_ordinary,
        to_array=lambda text: encoding.encode_to_numpy(text, disallowed_special=()),
        decode=encoding.decode,
        batch=lambda texts, threads: encoding.encode_ordinary_batch(texts, num_threads=threads),
    )


def _openai_harmony(openai_harmony: Any, folder: Path) -> Engine:
    os.environ["TIKTOKEN_ENCODINGS_BASE"] = str(folder)
    encoding = openai_harmony.load_harmony_encoding("HarmonyGptOss")
    return Engine(
        to_list=lambda text: encoding.encode(text, disallowed_special=()),
        decode=encoding.decode,
    )


def _tokenizers(tokenizers: Any, folder: Path) -> Engine:
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return Engine(
        to_list=lambda text: tokenizer.encode_batch_fast([text])[0].ids,
        decode=tokenizer.decode,
        batch=lambda texts, threads: tokenizer.encode_batch_fast(texts),
        flatten=lambda result: array("I", itertools.chain.from_iterable(encoding.ids for encoding in result)),
    )


def _fastokens(fastokens: Any, folder: Path) -> Engine:
    tokenizer = fastokens.Tokenizer.from_tiktoken(str(folder / "o200k_base.tiktoken"), encoding="o200k_base")
    return Engine(
        to_list=lambda text: tokenizer.encode_ordinary(text).ids,
        to_array=lambda text: tokenizer.encode_batch_flat([text], split_special_tokens=True)[0],
        decode=tokenizer.decode,
        batch=lambda texts, threads: tokenizer.encode_batch_flat(texts, split_special_tokens=True),
        flatten=lambda result: result[0],
    )


def _gigatoken(gigatoken: Any, folder: Path) -> Engine:
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


def _quicktok(quicktok: Any, folder: Path) -> Engine:
    encoding = quicktok.get_encoding("o200k_harmony")
    return Engine(
        to_list=encoding.encode_ordinary,
        to_array=lambda text: encoding.encode_batch([text], 1)[0],
        decode=encoding.decode,
        count_only=encoding.count,
        batch=encoding.encode_batch,
        flatten=lambda result: result[0],
    )


def _splintr(splintr: Any, folder: Path) -> Engine:
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
