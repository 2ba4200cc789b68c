"""Make training shards of conversations: ids, loss mask and the bounds of samples.

  harmony-py shards conversations.jsonl shards/
  harmony-py shards --form chat --length 8192 --pack --jobs 2 chats.parquet packed/
  harmony-py shards conversations.jsonl checked/ && harmony-py shards --check checked/

Each line or row is a conversation: `{"messages": [...]}`, in our own form or, with `--form chat`, in that of
OpenAI's chat completions with `tools` beside it. What is no conversation is written to `errors.jsonl` in the
folder, and stops nothing. A run that was stopped goes on when it is called again. The exit code is 1 if there
were errors, or if `--check` found something wrong; 2 if nothing was named to make or to check.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmony_py.cli import FAILED
from harmony_py.cli.terminal import show_progress, write

if TYPE_CHECKING:
    import argparse

_MIB = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from harmony_py.engines.shards.recipe import CHOICES, Recipe

    usual = Recipe()
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="JSON lines or Parquet; the last: the folder"
    )
    parser.add_argument("--check", action="store_true", help="make nothing; look over the shards in a folder")
    parser.add_argument("--column", default=usual.column, help="where the messages are (default messages)")
    helps = {
        "form": "what the messages are",
        "turns": "which of the assistant's turns are trained on; each: a sample for each",
        "analysis": "which old thoughts are left out",
        "header_style": "where headers name the recipient",
        "schema_style": "how tools are declared",
        "overlong": "what becomes of a sample that is longer than --length",
        "format": "how shards are written",
    }
    for name, text in helps.items():
        default = getattr(usual, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            choices=CHOICES[name],
            default=default,
            help=f"{text} (default {default})",
        )
    parser.add_argument(
        "--channel", action="append", metavar="NAME", help="train on messages on it only; '' is none"
    )
    parser.add_argument(
        "--length", type=int, metavar="N", help="the most tokens of a row (default: no limit)"
    )
    parser.add_argument("--pack", action="store_true", help="several samples in a row, filled up to --length")
    parser.add_argument(
        "--shard-mib", type=float, default=usual.shard_bytes / _MIB, help="input for a shard (default 32)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument(
        "--ray", action="store_true", help="on Ray: the cluster of $RAY_ADDRESS, or this machine"
    )
    parser.add_argument("--json", action="store_true", help="print the manifest")


def run(options: argparse.Namespace) -> int:
    from harmony_py.engines.shards import make_shards, summary, verify
    from harmony_py.engines.shards.run import MANIFEST
    from harmony_py.errors import ShardError

    *sources, folder = options.files
    if options.check and sources:
        raise ShardError("--check", "expected one folder and no files")
    start = time.perf_counter()
    if options.check:
        if not (Path(folder) / MANIFEST).is_file():
            raise ShardError(folder, f"no {MANIFEST}: no shards were made here, or not all of them yet")
        try:
            manifest = verify(folder, _progress)
        except ShardError as problem:
            print(f"harmony-py shards: {problem}", file=sys.stderr)
            return FAILED
    elif not sources:
        raise ShardError("FILE", "expected files to read, and the folder to write behind them")
    elif options.ray:
        from harmony_py.engines.ray import make_shards as make_with_ray

        manifest = make_with_ray(sources, folder, _recipe(options), progress=_progress)
    else:
        manifest = make_shards(sources, folder, _recipe(options), jobs=options.jobs, progress=_progress)
    if options.json:
        write(json.dumps(manifest))
    else:
        write(summary(manifest))
        write(_pace(manifest, time.perf_counter() - start))
    if manifest["errors"] and not options.json:
        print(f"what could not be read: {folder}/errors.jsonl", file=sys.stderr)
    return FAILED if manifest["errors"] and not options.check else 0


def _recipe(options: argparse.Namespace) -> Any:
    from harmony_py.engines.shards.recipe import CHOICES, Recipe

    return Recipe(
        **{name: getattr(options, name) for name in (*CHOICES, "column", "length", "pack")},
        channels=None if options.channel is None else tuple(options.channel),
        shard_bytes=int(options.shard_mib * _MIB),
    )


def _progress(done: int, total: int) -> None:
    show_progress(done, total, "shards")


def _pace(manifest: dict[str, Any], seconds: float) -> str:
    size = sum(each["bytes"] for each in manifest["inputs"])
    each_second = manifest["counts"]["records"] / seconds
    return f"{seconds:.1f} s, {each_second:,.0f} records/s, {size / 1e6 / seconds:.1f} MB/s"
