"""Our own implementation passes every check, and the checks are all there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.testing import invariants
from harmony_py.testing.adapters import load
from harmony_py.testing.conformance import Budget, Check, all_checks
from harmony_py.testing.conformance.reduce import shortest
from harmony_py.testing.conformance.run import run_check
from harmony_py.testing.implementation import Implementation, NotSupportedError
from harmony_py.testing.invariants import InvariantViolated
from harmony_py.testing.vectors import files

OURS = load("harmony_py")
CHECKS = all_checks()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_ours_passes(check: Check) -> None:
    outcome = run_check(OURS, check, Budget(examples=12, seconds=60))
    assert [finding.violation for finding in outcome.findings] == []
    assert outcome.status == "passed"


def test_every_invariant_is_asked() -> None:
    asked = {check.invariant.__name__ for check in CHECKS}
    assert set(invariants.__all__) - {"InvariantViolated"} <= asked
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_every_vector_is_asked() -> None:
    cases = sum(len(check.cases) for check in CHECKS)
    assert cases == sum(len(file.cases) for file in files()) > 90
    assert [file.pattern for file in files()] == [f"M{i}" for i in range(1, 28)]


def test_what_nothing_implements_is_not_supported() -> None:
    for check in {check.invariant: check for check in CHECKS}.values():
        assert run_check(Implementation(), check, Budget(examples=5)).status == "not supported"


class Loses(Implementation):
    """Encodes what it likes."""

    def encode(self, text: str) -> list[int]:
        return OURS.encode(text.replace("x", ""))

    def decode(self, tokens: list[int]) -> str:
        return OURS.decode(tokens)


def test_invariants_are_plain_functions() -> None:
    invariants.text_comes_back(OURS, "xyz")
    with pytest.raises(
        InvariantViolated, match="text comes back: another text: 'yz' instead of 'xyz'"
    ) as caught:
        invariants.text_comes_back(Loses(), "xyz")
    assert caught.value.example == ("xyz",)
    assert str(caught.value).endswith("counterexample:\n  'xyz'")
    with pytest.raises(NotSupportedError, match="encode"):
        invariants.text_comes_back(Implementation(), "xyz")


class Panics(Implementation):
    """As a library in Rust does where it has a bug: with something that is no `Exception`."""

    def encode(self, text: str) -> list[int]:
        raise BaseException("index out of bounds")


def test_a_panic_is_a_fault_like_any_other() -> None:
    [check] = [check for check in CHECKS if check.name == "text comes back"]
    outcome = run_check(Panics(), check, Budget(examples=5))
    assert [(finding.fault, finding.example) for finding in outcome.findings] == [
        ("crashed: BaseException", ("",))
    ]


def test_the_same_seed_finds_the_same() -> None:
    [check] = [check for check in CHECKS if check.name == "text comes back"]
    found = [run_check(Loses(), check, Budget(examples=100, seed=3)) for _ in range(2)]
    assert found[0].findings[0].example == found[1].findings[0].example == ("x",)
    assert found[0].examples == found[1].examples


def test_an_example_that_is_found_is_kept_when_time_runs_out() -> None:
    [check] = [check for check in CHECKS if check.name == "text comes back"]
    slow = run_check(Loses(), check, Budget(examples=300, seconds=0.001))
    assert slow.status in ("passed", "failed")
    assert slow.examples <= 3


@given(st.text("abx", max_size=30).filter(lambda text: "x" in text))
def test_nothing_can_be_left_out_of_the_shortest_text(text: str) -> None:
    assert shortest(text, lambda shorter: "x" in shorter) == "x"
    needed = text[:3]
    assert shortest(text, lambda shorter: needed in shorter) == needed


def test_the_page_shows_checks_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "harness.md").read_text("utf-8").replace("\\|", "|")
    table = page.partition("| check | fault |")[2].partition("\n\n")[0]
    names = {check.name for check in CHECKS}
    rows = [row for row in table.splitlines()[2:] if row.startswith("| ")]
    assert len(rows) > 50
    assert [row for row in rows if not any(row.startswith(f"| {name} | ") for name in names)] == []
