"""Comparisons as bar charts. The only place that needs matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.report import Comparison

SUBJECT = "#c2410c"
RIVALS = ("#1e3a5f", "#3f6f9f", "#79a6c9", "#9aa5b1", "#c5ccd3", "#6b7280", "#dde3e8")
LOGARITHMIC = 200
"""Where the largest value is this many times the smallest, equal steps stand for equal ratios."""


def draw(path: Path, comparisons: Sequence[Comparison], caption: str) -> None:
    """One panel a comparison, below each other, in the format that `path`'s suffix names."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "harmony_py"  # the same figures give the same file
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        len(comparisons), 1, figsize=(11, 3.4 * len(comparisons)), layout="constrained", squeeze=False
    )
    for axes, comparison in zip(panels[:, 0], comparisons, strict=True):
        _panel(axes, comparison)
    figure.supxlabel(caption, fontsize=7, color="#555555")
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, dpi=110, metadata=metadata)
    pyplot.close(figure)


def _panel(axes: Any, comparison: Comparison) -> None:
    """A group of bars a case, a colour a library; a figure that does not count leaves a gap."""
    libraries, cases = comparison.libraries, comparison.cases
    width = 0.86 / len(libraries)
    values = [[comparison.quoted(case, library) or 0.0 for case in cases] for library in libraries]
    for place, (library, colour, heights) in enumerate(
        zip(libraries, (SUBJECT, *RIVALS), values, strict=False)
    ):
        left = [group + (place - (len(libraries) - 1) / 2) * width for group in range(len(cases))]
        axes.bar(left, heights, width, label=library, color=colour)
    known = [value for heights in values for value in heights if value > 0]
    if known and max(known) > LOGARITHMIC * min(known):
        axes.set_yscale("log")
    axes.set_xticks(range(len(cases)), [case.replace(" ", "\n") for case in cases], fontsize=8)
    axes.set_ylabel(comparison.unit)
    better = "more" if comparison.more_is_better else "less"
    axes.set_title(f"{comparison.title} ({better} is better)", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, ncols=len(libraries), fontsize=8, loc="lower right", bbox_to_anchor=(1, 1))
