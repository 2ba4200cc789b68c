"""Counts as Prometheus reads them."""

from __future__ import annotations

import re

import pytest

from harmony_py.serve.metrics import Counter, Gauge, Histogram, Metrics

LINE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)+\})? -?[0-9.]+')


def test_every_line_is_one_of_the_format() -> None:
    metrics = Metrics(lambda: 2, lambda: 3)
    metrics.requests.add(1, 'a "b"\\\n', "200")
    metrics.queue.see(0.3)
    lines = metrics.text().splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(set(names)) == len(names) == 11
    for line in lines:
        assert line.startswith(("# HELP ", "# TYPE ")) or LINE.fullmatch(line), line
    assert "harmony_py_running 2" in lines
    assert "harmony_py_waiting 3" in lines


def test_a_counter_counts_by_its_labels() -> None:
    counter = Counter("c", "Things.", "kind")
    assert list(counter.lines()) == []
    for kind in ("b", "a", "b"):
        counter.add(1, kind)
    assert list(counter.lines()) == ['c{kind="a"} 1', 'c{kind="b"} 2']
    plain = Counter("p", "Things.")
    assert list(plain.lines()) == ["p 0"]


@pytest.mark.parametrize(
    ("values", "buckets"),
    [([], [0, 0, 0]), ([1, 1.5, 2, 7], [1, 3, 4]), ([0, -1], [2, 2, 2])],
)
def test_a_histogram_counts_what_is_at_most_its_bounds(values: list[float], buckets: list[int]) -> None:
    histogram = Histogram("h", "Sizes.", (1, 2))
    for value in values:
        histogram.see(value)
    *counted, total, count = histogram.lines()
    assert counted == [
        f'h_bucket{{le="{le}"}} {n}' for le, n in zip(["1", "2", "+Inf"], buckets, strict=True)
    ]
    assert total == f"h_sum {sum(values):.6f}"
    assert count == f"h_count {len(values)}"


def test_a_gauge_is_asked_when_it_is_read() -> None:
    values = iter([1, 2])
    gauge = Gauge("g", "Now.", lambda: next(values))
    assert [*gauge.lines(), *gauge.lines()] == ["g 1", "g 2"]
