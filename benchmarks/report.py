"""What a benchmark says at the end: Markdown tables, JSON, plots, and on what machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, aligned so that it can be read as it is."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    aligned = (
        [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        for line in lines
    )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in aligned)


class Figure(NamedTuple):
    """One library's result in one case; `values` are repeats, of which the median is quoted."""

    case: str
    library: str
    values: tuple[float, ...]
    note: str = ""
    """Why there is no number to trust: `wrong ids`, `panic`, `hang`, `-`."""

    @property
    def quoted(self) -> float | None:
        return statistics.median(self.values) if self.values and not self.note else None


class Comparison(NamedTuple):
    """The same cases on several libraries."""

    title: str
    unit: str
    more_is_better: bool
    figures: list[Figure]

    @property
    def cases(self) -> list[str]:
        return distinct(figure.case for figure in self.figures)

    @property
    def libraries(self) -> list[str]:
        """The one that is compared first, then its rivals."""
        return distinct(figure.library for figure in self.figures)

    def quoted(self, case: str, library: str) -> float | None:
        return next((f.quoted for f in self.figures if (f.case, f.library) == (case, library)), None)

    def markdown(self, base: str) -> str:
        """A row a case, a column a library, and how the first does against `base` and the best."""
        subject, *rivals = libraries = self.libraries
        rows = []
        for case in self.cases:
            cells = [self._cell(case, library) for library in libraries]
            ours, others = self.quoted(case, subject), [self.quoted(case, rival) for rival in rivals]
            known = [value for value in others if value is not None]
            best = (max if self.more_is_better else min)(known) if known else None
            rows.append(
                [case, *cells, self._advantage(ours, self.quoted(case, base)), self._advantage(ours, best)]
            )
        header = [self.unit, *libraries, f"{subject} : {base}", f"{subject} : best rival"]
        return f"**{self.title}**, {self.unit}\n\n{table(header, rows)}"

    def _cell(self, case: str, library: str) -> str:
        figure = next((f for f in self.figures if (f.case, f.library) == (case, library)), None)
        if figure is None:
            return "-"
        return figure.note or number(figure.quoted or 0.0)

    def _advantage(self, ours: float | None, other: float | None) -> str:
        if ours is None or other is None or not min(ours, other) > 0:
            return "-"
        return ratio(ours, other) if self.more_is_better else ratio(other, ours)


def distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def number(value: float) -> str:
    """Three figures, as many as these measurements carry."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(value: float, base: float) -> str:
    """How many times `base`."""
    return f"{number(value / base)}x"


def environment(distributions: Sequence[str]) -> str:
    """The machine, the Python and the versions measured, in one paragraph."""
    versions = ", ".join(f"{name} {_version(name)}" for name in distributions)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    return f"{_processor()}, {os.cpu_count()} cores; {system}; {python}; {versions}."


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed, run from its source tree)"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def around_section(document: Path, name: str) -> tuple[str, str]:
    """What stands up to `<!-- begin NAME -->` and from `<!-- end NAME -->` on, between which results go."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{document} has no section between {begin!r} and {end!r}")
    return before + begin, end + after


def replace_section(document: Path, name: str, markdown: str) -> None:
    """Put `markdown` there."""
    before, after = around_section(document, name)
    document.write_text(f"{before}\n\n{markdown.strip()}\n\n{after}", encoding="utf-8")


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
