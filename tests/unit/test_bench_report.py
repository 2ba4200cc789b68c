"""The benchmarks' figures: what is quoted, what is void, and how the tables say so."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from benchmarks.harness import ProcessError, in_process, rounds, timed
from benchmarks.measurements import figures
from benchmarks.report import Comparison, Figure, number, replace_section, table

if TYPE_CHECKING:
    from pathlib import Path


def test_a_figure_quotes_the_median_unless_a_note_voids_it() -> None:
    assert Figure("english", "ours", (3.0, 1.0, 8.0)).quoted == 3.0
    assert Figure("english", "ours", (3.0, 1.0, 8.0), "wrong ids").quoted is None
    assert Figure("english", "ours", ()).quoted is None


def test_a_comparison_divides_by_the_base_and_by_the_best_rival_that_counts() -> None:
    values = {"ours": 30.0, "base": 10.0, "rival": 20.0}
    marked = [Figure("english", name, (value,)) for name, value in values.items()]
    cheat = Figure("english", "cheat", (90.0,), "wrong ids")
    row = Comparison("Speed", "MB/s", True, [*marked, cheat]).markdown("base").splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        "english", "30.0", "10.0", "20.0", "wrong ids", "3.00x", "1.50x",
    ]  # fmt: skip


def test_where_less_is_better_the_ratio_turns_round() -> None:
    comparison = Comparison("Time", "us", False, [Figure("a", "ours", (2.0,)), Figure("a", "base", (8.0,))])
    assert comparison.markdown("base").splitlines()[-1].count("4.00x") == 2


def test_wrong_ids_and_failures_give_no_number() -> None:
    right = {"digests": ["x"], "seconds": 2.0}
    answers = {"ours": [right], "liar": [right, {"digests": ["y"], "seconds": 0.1}], "fragile": "crash"}
    found = list(figures("case", answers, lambda answer: float(answer["seconds"]), ["x"]))
    assert [(figure.library, figure.quoted, figure.note) for figure in found] == [
        ("ours", 2.0, ""),
        ("liar", None, "wrong ids"),
        ("fragile", None, "crash"),
    ]


def test_tables_line_up_and_numbers_carry_three_figures() -> None:
    lines = table(["name", "value"], [["a", "1"], ["longer", "1,000"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [number(value) for value in (12_345.6, 123.45, 12.345, 1.2345)] == [
        "12,346",
        "123",
        "12.3",
        "1.23",
    ]


def test_repeats_take_turns() -> None:
    assert rounds("ab", 2) == ["a", "b", "a", "b"]


def test_timing_gives_both_clocks_and_the_result_and_leaves_the_collector_as_it_was() -> None:
    assert gc.isenabled()
    seconds, collecting = timed(gc.isenabled)
    assert not collecting
    assert gc.isenabled()
    assert seconds.wall >= 0
    assert seconds.cpu >= 0


def test_a_measured_process_that_fails_says_how() -> None:
    with pytest.raises(ProcessError, match="KeyError") as raised:
        in_process("benchmarks.worker", {"job": "no such job"})
    assert raised.value.kind == "error"
    with pytest.raises(ProcessError) as raised:
        in_process("timeit", {"job": "never ends"}, timeout=0.01)
    assert raised.value.kind == "hang"


def test_results_go_into_their_section_and_nowhere_else(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- begin x -->old<!-- end x -->\nafter\n", encoding="utf-8")
    for _ in range(2):
        replace_section(document, "x", "new\n")
        assert document.read_text("utf-8") == ("before\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nafter\n")
    with pytest.raises(ValueError, match="no section between '<!-- begin y -->'"):
        replace_section(document, "y", "new")
