"""What is measured on tokenizers, group by group: each takes a `Plan` and gives the tables of its figures."""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import adversarial
from benchmarks.harness import ProcessError, in_process, rounds
from benchmarks.libraries import REFERENCE, thread_environment
from benchmarks.report import Comparison, Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.corpora import Corpus

    Answer = dict[str, Any]
    Answers = dict[str, list[Answer] | str]
    """By library: what its processes answered, or how they failed."""

WORKER = "benchmarks.worker"
MEGABYTE = 1_000_000
VARIANTS = 3
"""Of a worst case, measured in one process after one that is not."""

WORST_TIMEOUT = 60
LENGTHS = ((20, 4_000), (200, 2_000), (2_000, 200))
"""Characters of the short strings, and how many of each."""


class Plan(NamedTuple):
    """What to measure it on, and how often."""

    libraries: tuple[str, ...]
    outputs: tuple[str, ...]
    repeats: int
    clock: str
    folder: Path
    """Where the texts lie that the measured processes read."""
    vocabulary: Path

    def job(self, job: str, **details: Any) -> dict[str, Any]:
        return {"job": job, "vocabulary": str(self.vocabulary), **details}

    def halves(self, corpus: Corpus) -> dict[str, str]:
        return {
            "first": self.write(f"{corpus.name}.1", corpus.first),
            "second": self.write(f"{corpus.name}.2", corpus.second),
        }

    def write(self, name: str, text: str) -> str:
        path = self.folder / name.replace(" ", "-")
        path.write_bytes(text.encode())
        return str(path)


def gather(plan: Plan, job: dict[str, Any], timeout: float = 120) -> Answers:
    """Ask every library in turns; one that fails sits out from then on."""
    answers: Answers = {library: [] for library in plan.libraries}
    for library in rounds(plan.libraries, plan.repeats):
        known = answers[library]
        if isinstance(known, str):
            continue
        try:
            known.append(_ask(job, library, timeout))
        except ProcessError as failure:
            lacking = "NotImplementedError" in str(failure)
            answers[library] = "-" if lacking else failure.kind
            if not lacking:
                print(f"  {job['job']}: {library}: {failure}", file=sys.stderr)
    return answers


def _ask(job: dict[str, Any], library: str, timeout: float = 120) -> Answer:
    environment = thread_environment(job.get("threads", 1))
    return in_process(WORKER, {**job, "library": library}, timeout=timeout, environment=environment)


def right_ids(job: dict[str, Any]) -> list[str]:
    """The fingerprints of the reference's ids (or counts, or texts) for `job`."""
    digests: list[str] = _ask(job, REFERENCE)["digests"]
    return digests


def figures(
    case: str,
    answers: Answers,
    value: Callable[[Answer], float],
    right: Sequence[str] | None = None,
) -> Iterator[Figure]:
    """One figure a library; ids other than the `right` ones make it void."""
    for library, known in answers.items():
        if isinstance(known, str):
            yield Figure(case, library, (), known)
            continue
        wrong = right is not None and any(answer["digests"] != right for answer in known)
        yield Figure(case, library, tuple(map(value, known)), "wrong ids" if wrong else "")


def encode(plan: Plan, chosen: Sequence[Corpus]) -> list[Comparison]:
    """Cold, fresh and repeated text, in list and in array output."""
    tables = {
        (mode, output): Comparison(f"{title}, {output} output", "MB/s", True, [])
        for mode, title in (
            ("fresh", "Unseen text"),
            ("repeat", "Repeated text"),
            ("cold", "Load and first text"),
        )
        for output in plan.outputs
    }
    for corpus in chosen:
        halves = plan.halves(corpus)
        texts = list(halves.values())
        right = right_ids(plan.job("reference", texts=texts, whole=False))
        first, second = len(corpus.first.encode()), len(corpus.second.encode())
        for output in plan.outputs:
            answers = gather(plan, plan.job("encode", output=output, **halves))
            for (mode, shown), comparison in tables.items():
                if shown == output:
                    rate = _rate(mode, first if mode == "cold" else second, plan.clock)
                    comparison.figures.extend(figures(corpus.name, answers, rate, right))
    return list(tables.values())


def worst(plan: Plan, names: Sequence[str]) -> list[Comparison]:
    """Inputs of a megabyte that tokenizers stumble over, each time another variant."""
    fewer = plan._replace(repeats=(plan.repeats + 1) // 2)
    comparison = Comparison("Worst cases, each library's fastest output", "MB/s", True, [])
    for name in names:
        texts = [adversarial.text(name, variant) for variant in range(VARIANTS + 1)]
        paths = [plan.write(f"{name}.{variant}", text) for variant, text in enumerate(texts)]
        size = statistics.mean(len(text.encode()) for text in texts[1:])
        right = right_ids(plan.job("reference", texts=paths[1:], whole=name in adversarial.WHOLE))
        job = plan.job("worst", output="fastest", variants=paths)
        answers = gather(fewer, job, WORST_TIMEOUT)
        comparison.figures.extend(figures(name, answers, _median_rate(size, plan.clock), right))
    return [comparison]


def short(plan: Plan, chosen: Sequence[Corpus]) -> list[Comparison]:
    """A call's latency on strings of 20, 200 and 2,000 characters."""
    comparisons = []
    for output in plan.outputs:
        comparison = Comparison(f"Short unseen strings, {output} output", "us a call", False, [])
        for corpus in chosen:
            job = plan.job("short", output=output, lengths=LENGTHS, **plan.halves(corpus))
            answers, right = gather(plan, job), right_ids({**job, "output": "list"})
            for length, _ in LENGTHS:
                latency = _microseconds(str(length), plan.clock)
                comparison.figures.extend(figures(f"{corpus.name} {length:,}", answers, latency, right))
        comparisons.append(comparison)
    return comparisons


def decode(plan: Plan, corpus: Corpus) -> list[Comparison]:
    """A list of ids to text: a whole half of a corpus, and ten at a time."""
    job = plan.job("decode", **plan.halves(corpus))
    answers, right = gather(plan, job), right_ids(job)
    clock = plan.clock
    whole = Comparison("Decode a list of ids", "million ids/s", True, [])
    whole.figures.extend(
        figures(corpus.name, answers, lambda answer: answer["tokens"] / 1e6 / answer["all"][clock], right)
    )
    tens = Comparison("Decode ten ids", "us a call", False, [])
    tens.figures.extend(
        figures(corpus.name, answers, lambda answer: answer["tens"][clock] / answer["calls"] * 1e6, right)
    )
    return [whole, tens]


def count(plan: Plan, corpus: Corpus) -> list[Comparison]:
    """The number of ids; those that have no call for it make the ids, and are measured doing so."""
    job = plan.job("count", **plan.halves(corpus))
    answers, right = gather(plan, job), right_ids(job)
    comparison = Comparison("Count", "MB/s", True, [])
    for mode in ("fresh", "repeat"):
        rate = _rate(mode, len(corpus.second.encode()), plan.clock)
        comparison.figures.extend(figures(f"{corpus.name}, {mode}", answers, rate, right))
    return [comparison]


def threads(plan: Plan, corpus: Corpus) -> list[Comparison]:
    """A batch of documents, and one long text, on one thread and on two. Wall clock."""
    size = len(corpus.second.encode())
    comparison = Comparison("Unseen text on threads", "MB/s", True, [])
    for shape, title in (("documents", "documents"), ("one", "one text")):
        job = plan.job("batch", shape=shape, **plan.halves(corpus))
        right = right_ids({**job, "threads": 1})
        for number in (1, 2):
            answers = gather(plan, {**job, "threads": number})
            label = f"{title}, {number} thread{'s' if number > 1 else ''}"
            comparison.figures.extend(figures(label, answers, _rate("seconds", size, "wall"), right))
    return [comparison]


def startup(plan: Plan) -> list[Comparison]:
    """From before the import to the first id in hand. Wall clock."""
    answers = gather(plan, plan.job("startup"))
    comparison = Comparison("Startup", "ms", False, [])
    comparison.figures.extend(figures("import only", answers, lambda answer: answer["import"] * 1e3))
    after = figures("then to first id", answers, lambda answer: (answer["first id"] - answer["import"]) * 1e3)
    comparison.figures.extend(after)
    comparison.figures.extend(figures("import to first id", answers, lambda answer: answer["first id"] * 1e3))
    return [comparison]


def memory(plan: Plan) -> list[Comparison]:
    """Resident megabytes over the bare interpreter's."""
    answers = gather(plan._replace(repeats=1), plan.job("memory"))
    comparison = Comparison("Memory", "MB", False, [])
    comparison.figures.extend(figures("after load", answers, lambda answer: answer["load"] / MEGABYTE))
    comparison.figures.extend(
        figures("growth after 1 M words", answers, lambda answer: answer["growth"] / MEGABYTE)
    )
    return [comparison]


def _rate(what: str, size: int, clock: str) -> Callable[[Answer], float]:
    """MB/s of the call `what`, which took in `size` bytes."""
    return lambda answer: size / MEGABYTE / answer[what][clock]


def _median_rate(size: float, clock: str) -> Callable[[Answer], float]:
    """MB/s of the middle one of several texts of `size` bytes."""
    return lambda answer: size / MEGABYTE / statistics.median(seconds[clock] for seconds in answer["seconds"])


def _microseconds(what: str, clock: str) -> Callable[[Answer], float]:
    return lambda answer: float(answer[what][clock]) * 1e6
