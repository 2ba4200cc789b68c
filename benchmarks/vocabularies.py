"""Our vocabulary in the formats that the rivals load, so that nobody downloads anything."""

from __future__ import annotations

import itertools
import json
import os
from typing import TYPE_CHECKING

from benchmarks.harness import ROOT
from harmony_py.tokenizer import vocab

if TYPE_CHECKING:
    from pathlib import Path

PATTERN = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)
HUGGING_FACE = "tokenizer.json"


def prepare(*, hugging_face_too: bool = False) -> Path:
    """A folder with the vocabulary in the formats needed; made once, then found again by its hash."""
    folder = ROOT / ".cache" / "benchmarks" / vocab.SHA256[:12]
    if not (folder / vocab.FILE_NAME).exists():
        vocab.export(folder)
    if hugging_face_too and not (folder / HUGGING_FACE).exists():
        partial = folder / f"{HUGGING_FACE}.{os.getpid()}"
        partial.write_text(hugging_face(vocab.tokens()), encoding="utf-8")
        partial.replace(folder / HUGGING_FACE)
    return folder


def hugging_face(tokens: list[bytes]) -> str:
    """A byte-level BPE `tokenizer.json` with the merge that each token comes from."""
    ranks = {token: rank for rank, token in enumerate(tokens)}
    letters = _byte_letters()

    def spelled(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [[spelled(part) for part in last_merge(ranks, token)] for token in tokens if len(token) > 1]
    split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
            "post_processor": None,
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": {spelled(token): rank for token, rank in ranks.items()},
                "merges": merges,
            },
        },
        ensure_ascii=False,
    )


def last_merge(ranks: dict[bytes, int], token: bytes) -> list[bytes]:
    """The two parts that `token` is merged from: what is left of it just before its own rank is reached.

    A token cannot arise from any other pair, because the merges inside its span always run alike.
    """
    limit = ranks[token]
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        rank, place = min((ranks.get(a + b, limit), i) for i, (a, b) in enumerate(itertools.pairwise(parts)))
        if rank >= limit:
            raise ValueError(f"token {limit} {token!r} is not reachable by merging")
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def _byte_letters() -> list[str]:
    """The printable character that stands for each byte in byte-level BPE files."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]
