"""Hand the embedded vocabulary to other libraries, so that they need no download.

  harmony-py vocab export ~/.cache/o200k
  harmony-py vocab info --json

`export` writes it in tiktoken's format, under its published name and under its name in tiktoken's cache.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harmony_py.cli.terminal import write
from harmony_py.errors import HarmonyError
from harmony_py.tokenizer import special, vocab

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["export", "info"])
    parser.add_argument("directory", nargs="?", help="where to; for export")
    parser.add_argument("--json", action="store_true", help="the paths, or the facts, as JSON")


def run(options: argparse.Namespace) -> int:
    if options.what == "info":
        if options.directory is not None:
            raise HarmonyError(f"vocab info takes no directory, found {options.directory!r}")
        facts = {
            "name": "o200k_harmony",
            "tokens": special.N_VOCAB,
            "sha256": vocab.SHA256,
            "control tokens": len(special.ENCODABLE),
        }
        write(json.dumps(facts) if options.json else "\n".join(f"{k:<15} {v}" for k, v in facts.items()))
        return 0
    if options.directory is None:
        raise HarmonyError("vocab export needs a directory")
    try:
        paths = [str(path) for path in vocab.export(options.directory)]
    except OSError as problem:
        raise HarmonyError(f"{options.directory}: {problem.strerror}") from None
    if options.json:
        write(json.dumps(paths))
        return 0
    write("\n".join(paths))
    write(f"\nTo use it: export TIKTOKEN_CACHE_DIR={options.directory} (tiktoken, transformers)")
    write(f"           export TIKTOKEN_ENCODINGS_BASE={options.directory} (openai-harmony)")
    return 0
