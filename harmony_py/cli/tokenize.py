"""Show or count the tokens of text.

  harmony-py tokenize README.md
  harmony-py tokenize --count *.md
  echo -n '<|start|>user' | harmony-py tokenize --special --json

Without a file it reads the standard input. On a terminal each token has a background of its own; in a pipe
there are the ids, a line for each file. Text is text, unless `--special` says that spelled control tokens are
meant as such.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from harmony_py.cli.inputs import STDIN, at_least, read_text
from harmony_py.cli.terminal import in_colour, show_progress, tokens_in_colour, write
from harmony_py.tokenizer import Tokenizer

if TYPE_CHECKING:
    import argparse

_BATCH = 64
"""Files that are read and encoded together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", default=[STDIN], metavar="FILE", help="- is the standard input")
    parser.add_argument("--count", action="store_true", help="only how many tokens each file has")
    parser.add_argument("--special", action="store_true", help="spelled control tokens become such")
    parser.add_argument("--json", action="store_true", help="one JSON object a line: file, tokens or count")
    parser.add_argument("--jobs", type=at_least(1), metavar="N", help="threads (default: all cores)")


def run(options: argparse.Namespace) -> int:
    tokenizer = Tokenizer.o200k_harmony()
    total = 0
    for start in range(0, len(options.files), _BATCH):
        names = options.files[start : start + _BATCH]
        encoded = _encode(tokenizer, [read_text(name) for name in names], options)
        for name, ids in zip(names, encoded, strict=True):
            total += len(ids)
            write(_shown(tokenizer, name, ids, options))
        # For people who wait for many files while the results go elsewhere.
        if len(options.files) > _BATCH and not sys.stdout.isatty():
            show_progress(start + len(names), len(options.files), "files")
    if options.count and not options.json and len(options.files) > 1:
        write(f"{total:>9}  total")
    return 0


def _encode(tokenizer: Tokenizer, texts: list[str], options: argparse.Namespace) -> list[list[int]]:
    threads = {} if options.jobs is None else {"num_threads": options.jobs}
    if options.special:
        return tokenizer.encode_batch(texts, allowed_special="all", **threads)
    return tokenizer.encode_ordinary_batch(texts, **threads)


def _shown(tokenizer: Tokenizer, name: str, ids: list[int], options: argparse.Namespace) -> str:
    if options.json:
        found = {"count": len(ids)} if options.count else {"tokens": ids}
        return json.dumps({"file": name, **found}, ensure_ascii=False)
    if options.count:
        return f"{len(ids):>9}  {name}"
    if in_colour(sys.stdout):
        return f"{tokens_in_colour(tokenizer, ids)}\n\n{name}: {len(ids)} tokens"
    return " ".join(map(str, ids))
