"""Measure how fast it is on this machine, beside whatever else is installed: tiktoken, openai-harmony.

  harmony-py bench --model none --repeats 3
  harmony-py bench --file corpus.txt --model ~/models/gpt-oss-20b
  harmony-py bench --model none --json > here.json

Everything runs by turns, and medians are shown with their ratio; ids and tokens are compared, too, and the
exit code is 1 if they differ. Text and messages are timed by the processor's clock. Start and decoding are
not: there, other programs that run disturb the figures, and the ratios less. The file is one of yours;
without one it is this package's own source. Decoding needs the extra `model`; --model none leaves it out.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harmony_py.cli.inputs import at_least, read_text
from harmony_py.cli.terminal import BOLD, DIM, RED, painted, show_progress, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from harmony_py.cli.measure import Figure

NONE = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from harmony_py.cli.models import TOY, add_dense_argument, add_device_argument

    parser.add_argument("--file", metavar="FILE", help="a text to encode, at most its first 8 MB")
    parser.add_argument(
        "--model", default=TOY, metavar="PATH", help=f"a checkpoint to decode with, {TOY} (default) or {NONE}"
    )
    add_device_argument(parser)
    add_dense_argument(parser)
    parser.add_argument(
        "--repeats", type=at_least(1), default=5, metavar="N", help="of each measurement (default 5)"
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON")


def run(options: argparse.Namespace) -> int:
    from harmony_py.cli import FAILED
    from harmony_py.cli.measure import machine

    text = read_text(options.file) if options.file else None
    parts = _parts(text, options)
    figures: list[Figure] = []
    for done, (name, measure) in enumerate(parts):
        show_progress(done, len(parts), name)
        figures += measure()
    show_progress(len(parts), len(parts), "done")
    if options.json:
        write(json.dumps({"machine": machine(), "figures": [figure.plain() for figure in figures]}))
    else:
        write("\n".join(f"{name:<8} {value}" for name, value in machine().items()))
        _show(figures)
    return 0 if all(figure.agrees for figure in figures) else FAILED


def _parts(text: str | None, options: argparse.Namespace) -> list[tuple[str, Callable[[], list[Figure]]]]:
    """What is measured, by name; the tokenizer before anything else has warmed it."""
    from harmony_py.cli.measure import messages
    from harmony_py.cli.measure import text as texts
    from harmony_py.cli.measure.decode import decode

    given = texts.own_source() if text is None else text[: texts.MOST_CHARACTERS]
    name = Path(options.file).name if options.file else "this package's source"
    parts: list[tuple[str, Callable[[], list[Figure]]]] = [
        ("start", partial(texts.start, options.repeats)),
        ("tokenizer", partial(texts.tokenizer, given, name, options.repeats)),
        ("render", partial(messages.render, options.repeats)),
        ("parse", partial(messages.parse, options.repeats)),
    ]
    if options.model != NONE:
        parts.append(
            ("decode", partial(decode, options.model, options.repeats, options.device, options.dense))
        )
    return parts


def _show(figures: Sequence[Figure]) -> None:
    rivals = list(dict.fromkeys(name for figure in figures for name in figure.others))
    width = max(len(figure.what) for figure in figures)
    head = "".join(f"{name:>22}" for name in rivals)
    write("\n" + painted(f"{'':<{width}} {'harmony_py':>12} {'':<9}{head}", BOLD))
    for figure in figures:
        cells = "".join(f"{_cell(figure, name):>22}" for name in rivals)
        line = f"{figure.what:<{width}} {_number(figure.ours):>12} {figure.unit:<9}{cells}"
        write(line.rstrip() if figure.agrees else painted(f"{line}  DIFFERENT", RED))
    if rivals:
        write(painted("\n(2.0x: ours is twice as good)", DIM))
    else:
        write(painted("\nNothing to compare with: neither tiktoken nor openai-harmony is installed.", DIM))


def _cell(figure: Figure, name: str) -> str:
    if name not in figure.others:
        return ""
    return f"{_number(figure.others[name])} ({figure.ratio(name):.3g}x)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
