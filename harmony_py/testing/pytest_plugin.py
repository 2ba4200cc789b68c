"""pytest: `pytest --harmony-impl=NAME` runs the conformance checks of an implementation as tests.

NAME is as in `harmony-py conform`. Each check is a test: what is not supported is skipped, and a failure
shows its smallest counterexample. Without the option nothing is imported and nothing happens.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harmony_py.testing.conformance import Budget, Check, Outcome
    from harmony_py.testing.implementation import Implementation

_NAME = "--harmony-impl"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("harmony_py", "conformance to the harmony format")
    group.addoption(
        _NAME, metavar="NAME", help="test this implementation: an adapter's name or module:factory"
    )
    group.addoption("--harmony-examples", type=int, default=50, metavar="N", help="examples for each check")
    group.addoption(
        "--harmony-seed", type=int, default=0, metavar="N", help="another one gives other examples"
    )


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Adds the checks behind whatever else was collected."""
    if name := config.getoption(_NAME):
        from harmony_py.testing.conformance import Budget, all_checks

        budget = Budget(config.getoption("--harmony-examples"), seed=config.getoption("--harmony-seed"))
        parent = ConformanceCollector.from_parent(session, name=f"harmony[{name}]", implementation=name)
        items += [
            CheckItem.from_parent(parent, name=check.name, check=check, budget=budget)
            for check in all_checks()
        ]


class ConformanceCollector(pytest.Collector):
    """The checks of one implementation, which is loaded when the first of them is run."""

    def __init__(self, *, implementation: str, **rest: Any) -> None:
        super().__init__(**rest)
        self._implementation = implementation

    @functools.cached_property
    def implementation(self) -> Implementation:
        from harmony_py.testing.adapters import load

        return load(self._implementation)

    def collect(self) -> list[pytest.Item]:
        return []


class FaultsFound(Exception):  # noqa: N818  # nothing went wrong here
    """A check failed: what came of it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.check.name)
        self.outcome = outcome


class CheckItem(pytest.Item):
    """One check."""

    def __init__(self, *, check: Check, budget: Budget, **rest: Any) -> None:
        super().__init__(**rest)
        self._check = check
        self._budget = budget

    def runtest(self) -> None:
        from harmony_py.testing.conformance.run import run_check

        assert isinstance(self.parent, ConformanceCollector)
        outcome = run_check(self.parent.implementation, self._check, self._budget)
        if outcome.status == "not supported":
            pytest.skip("not supported")
        if outcome.findings:
            raise FaultsFound(outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The faults themselves: where in the harness they were noticed tells nobody anything."""
        if isinstance(excinfo.value, FaultsFound):
            return "\n\n".join(str(finding.violation) for finding in excinfo.value.outcome.findings)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, None, str]:
        return self.nodeid.partition("::")[0], None, self._check.name
