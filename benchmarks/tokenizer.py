"""Ours beside the other tokenizers: one library a process, interleaved, ids checked against tiktoken's."""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import adversarial, corpora, measurements, plots, vocabularies
from benchmarks.libraries import DEFAULT, LIBRARIES, REFERENCE
from benchmarks.measurements import Plan
from benchmarks.report import Comparison, around_section, environment, replace_section, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.corpora import Corpus

GROUPS = ("worst", "short", "decode", "count", "threads", "startup", "memory")
SECTION = "tokenizer"
"""The part of a document that the tables go into."""
PLOTTED = ("Unseen text, ", "Worst cases")
SHORT_CORPORA = ("english", "chat", "multilingual")
QUICK_MEGABYTES = 2.0
QUICK_LIBRARIES = tuple(name for name in DEFAULT if name != "tokenizers")
"""It takes as long as all the others together."""

NOTES = f"""\
Unseen text: a fresh process encodes the first half of the corpus, then the second half is timed, once.
Repeated text: the same half again. The median of the repeats is quoted. Ids are compared with {REFERENCE}'s
before a time counts. `A : B` says how many times better A is than B."""


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    chosen = _corpora(options)
    with tempfile.TemporaryDirectory(prefix="harmony-py-bench-") as folder:
        plan = Plan(
            libraries=options.libraries,
            outputs=options.output,
            repeats=options.repeats,
            clock=options.clock,
            folder=Path(folder),
            vocabulary=vocabularies.prepare(hugging_face_too="tokenizers" in options.libraries),
        )
        heading = environment([LIBRARIES[name].distribution for name in plan.libraries])
        texts = "\n".join(f"    {corpus.manifest()}" for corpus in chosen)
        said = [f"{heading} Clock: {plan.clock}; repeats: {plan.repeats}.", NOTES, texts]
        print("\n\n".join(said), flush=True)
        comparisons = []
        for comparison in _measure(plan, options.only, chosen):
            said.append(comparison.markdown(REFERENCE))
            print(f"\n{said[-1]}", flush=True)
            comparisons.append(comparison)
    if options.json:
        write_json(options.json, {"environment": heading, "comparisons": [_plain(c) for c in comparisons]})
    if options.plot:
        plotted = [comparison for comparison in comparisons if comparison.title.startswith(PLOTTED)]
        plots.draw(options.plot, plotted or comparisons, heading)
    if options.document:
        replace_section(options.document, SECTION, "\n\n".join(said))
    return 0


def _measure(plan: Plan, only: frozenset[str], chosen: list[Corpus]) -> Iterator[Comparison]:
    """The tables of everything asked for, as they are ready."""

    def wanted(group: str) -> bool:
        return not only or group in only

    named = {corpus.name: corpus for corpus in chosen}
    encoded = [corpus for corpus in chosen if wanted(corpus.name)]
    if encoded:
        yield from measurements.encode(plan, encoded)
    cases = [name for name in adversarial.NAMES if wanted("worst") or wanted(name)]
    if cases:
        yield from measurements.worst(plan, cases)
    if wanted("short"):
        yield from measurements.short(plan, [named[name] for name in SHORT_CORPORA])
    for group in (measurements.decode, measurements.count, measurements.threads):
        if wanted(group.__name__):
            yield from group(plan, named["english"])
    if wanted("startup"):
        yield from measurements.startup(plan)
    if wanted("memory"):
        yield from measurements.memory(plan)


def _corpora(options: argparse.Namespace) -> list[Corpus]:
    """The corpora that what was asked for needs, the caller's own last."""
    only: frozenset[str] = options.only
    needed = set(only & set(corpora.NAMES)) if only else set(corpora.NAMES)
    if "short" in only:
        needed.update(SHORT_CORPORA)
    if only & {"decode", "count", "threads"}:
        needed.add("english")
    megabytes = QUICK_MEGABYTES if options.quick else None
    own = [corpora.from_file(name, Path(path)) for name, path in options.corpus]
    return [*(corpora.load(name, megabytes) for name in corpora.NAMES if name in needed), *own]


def _plain(comparison: Comparison) -> dict[str, object]:
    best = max if comparison.more_is_better else min
    figures = [
        {**figure._asdict(), "quoted": figure.quoted, "best": best(figure.values, default=None)}
        for figure in comparison.figures
    ]
    return {**comparison._asdict(), "figures": figures}


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks tokenizer", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter texts, the corpora only, two repeats")
    parser.add_argument(
        "--only", type=_names, default=frozenset(), metavar="NAME,...", help=f"any of: {_known()}"
    )
    parser.add_argument("--libraries", type=_libraries, metavar="NAME,...", help=_known_libraries())
    parser.add_argument(
        "--output", type=_outputs, default=("list", "array"), help="list, array or list,array"
    )
    parser.add_argument("--repeats", type=int, help="processes for each library and case (3, quick 2)")
    parser.add_argument(
        "--corpus",
        type=_named_path,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a text of your own",
    )
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: for a busy machine, one thread"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every single value")
    parser.add_argument(
        "--plot", type=Path, metavar="PATH", help="draw unseen text and worst cases (.svg, .png)"
    )
    parser.add_argument(
        "--document", type=Path, metavar="PATH", help="put the tables into a Markdown file's section"
    )
    options = parser.parse_args(arguments)
    if options.document:
        around_section(options.document, SECTION)  # better now than after half an hour
    if options.quick and not options.only:
        options.only = frozenset([*corpora.NAMES, *(name for name, _ in options.corpus)])
    options.libraries = options.libraries or (QUICK_LIBRARIES if options.quick else DEFAULT)
    options.repeats = options.repeats or (2 if options.quick else 3)
    known = {*corpora.NAMES, *GROUPS, *adversarial.NAMES, *(name for name, _ in options.corpus)}
    if unknown := options.only - known:
        parser.error(f"--only knows no {', '.join(sorted(unknown))}; it knows {_known()}")
    return options


def _known() -> str:
    return ", ".join([*corpora.NAMES, *GROUPS, *adversarial.NAMES])


def _known_libraries() -> str:
    on_request = ", ".join(name for name in LIBRARIES if name not in DEFAULT)
    return f"any of: {', '.join(LIBRARIES)}; unless named without {on_request}, quick without tokenizers"


def _names(value: str) -> frozenset[str]:
    return frozenset(value.split(","))


def _libraries(value: str) -> tuple[str, ...]:
    names = tuple(value.split(","))
    for name in names:
        if name not in LIBRARIES:
            raise argparse.ArgumentTypeError(
                f"no library is called {name!r}; there are {', '.join(LIBRARIES)}"
            )
        if importlib.util.find_spec(LIBRARIES[name].module) is None:
            raise argparse.ArgumentTypeError(
                f"{name} is not installed: pip install {LIBRARIES[name].distribution}"
            )
    return names


def _outputs(value: str) -> tuple[str, ...]:
    outputs = tuple(value.split(","))
    if not set(outputs) <= {"list", "array"}:
        raise argparse.ArgumentTypeError("outputs are list and array")
    return outputs


def _named_path(value: str) -> tuple[str, str]:
    name, separator, path = value.partition("=")
    if not separator or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"expected NAME=PATH of a file, not {value!r}")
    return name, path
