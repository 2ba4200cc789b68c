"""What a benchmark says at the end: Markdown tables, JSON, plots, and on what machine."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, aligned so that it can be read as it is."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    aligned = (
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
        for line in lines
    )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in aligned)


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
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in distributions)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{_processor()}, {os.cpu_count()} cores; {platform.system()} {platform.machine()}; {python}; {versions}."


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def bars(path: Path, title: str, unit: str, groups: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    """A bar chart with one group of bars per case and one colour per library, written to `path`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 4.5), layout="constrained")
    width = 0.85 / len(series)
    for place, (name, values) in enumerate(series.items()):
        left = [group + (place - (len(series) - 1) / 2) * width for group in range(len(groups))]
        axes.bar(left, values, width, label=name)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel(unit)
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
