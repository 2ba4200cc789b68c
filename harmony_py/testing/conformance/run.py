"""Running the checks, and what comes of it."""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import errors as hypothesis_errors

from harmony_py.testing.conformance.checks import Check, all_checks
from harmony_py.testing.conformance.reduce import shortest
from harmony_py.testing.implementation import NotSupportedError
from harmony_py.testing.invariants import InvariantViolated
from harmony_py.testing.show import show, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harmony_py.testing.implementation import Implementation

Status = Literal["passed", "failed", "not supported"]


class Budget(NamedTuple):
    """How far to look, for each check."""

    examples: int = 100
    """How many examples to draw; making one small takes more."""
    seconds: float = 20.0
    """After which nothing new is tried. A check that takes as long may differ from run to run."""
    faults: int = 3
    """How many different faults to look for."""
    seed: int = 0


class Finding(NamedTuple):
    """One fault, and the smallest example of it."""

    fault: str
    detail: str
    example: tuple[Any, ...]
    violation: InvariantViolated

    @property
    def shown(self) -> str:
        return "\n".join(map(show, self.example))

    @property
    def size(self) -> int:
        """In tokens."""
        return size(self.example[0])


class Outcome(NamedTuple):
    """What came of one check."""

    check: Check
    status: Status
    findings: tuple[Finding, ...]
    examples: int
    """How many were tried; more for a fault, whose examples are made small."""
    seconds: float


class Report(NamedTuple):
    """What came of all of them."""

    name: str
    version: str
    budget: Budget
    outcomes: tuple[Outcome, ...]

    def of(self, status: Status) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.status == status]

    @property
    def passed(self) -> bool:
        return not self.of("failed")


def run(
    implementation: Implementation,
    budget: Budget | None = None,
    *,
    checks: Sequence[Check] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Ask `implementation` all of `checks`; `progress` hears how many are done, of how many, and the next."""
    budget = budget or Budget()
    checks = all_checks() if checks is None else checks
    outcomes = []
    for done, check in enumerate(checks):
        if progress:
            progress(done, len(checks), check.name)
        outcomes.append(run_check(implementation, check, budget))
    if progress:
        progress(len(checks), len(checks), "")
    return Report(implementation.name, implementation.version, budget, tuple(outcomes))


def run_check(implementation: Implementation, check: Check, budget: Budget) -> Outcome:
    """Ask one of them."""
    started = time.monotonic()
    trial = _Trial(implementation, check, started + budget.seconds)
    if check.examples is None:
        trial.enumerate(check.cases)
    else:
        # A few examples tell whether there is anything to ask; some more, whether it is only rare.
        for few in (8, 40):
            if not trial.supported:
                trial.search(few, budget.seed + few)
        while trial.supported and len(trial.findings) < budget.faults:
            known = len(trial.findings)
            trial.search(budget.examples, budget.seed + known)
            if len(trial.findings) == known:
                break
    status: Status = "failed" if trial.findings else "passed" if trial.supported else "not supported"
    findings = sorted(trial.findings.values(), key=lambda finding: finding.size)[: budget.faults]
    return Outcome(check, status, tuple(findings), trial.count, time.monotonic() - started)


class _Trial:
    """One check of one implementation while it is being made."""

    def __init__(self, implementation: Implementation, check: Check, deadline: float) -> None:
        self._implementation = implementation
        self._check = check
        self._deadline = deadline
        self.count = 0
        self.supported = 0
        """How many examples the implementation could be asked about."""
        self.findings: dict[str, Finding] = {}
        """By fault, each with the smallest example seen."""

    def enumerate(self, cases: Iterable[tuple[Any, ...]]) -> None:
        """Try all of some given examples."""
        for example in cases:
            finding = self._ask(example)
            if finding:
                self._keep(finding)

    def search(self, examples: int, seed: int) -> None:
        """Look for one fault that is not known yet, and make its example small."""
        assert self._check.examples is not None
        known = set(self.findings)
        wanted: set[str] = set()

        def shows_it(example: tuple[Any, ...]) -> bool:
            finding = self._ask(example)
            if finding is None or finding.fault in known:
                return False
            if not wanted:
                wanted.add(finding.fault)
            if finding.fault not in wanted:
                return False
            self._keep(finding)
            return True

        # None is found, or time runs out while one is made smaller: what was found is kept.
        with contextlib.suppress(hypothesis_errors.NoSuchExample, hypothesis_errors.Flaky):
            hypothesis.find(
                self._check.examples, shows_it, settings=_settings(examples), random=random.Random(seed)
            )
        for fault in wanted:
            (example,) = self.findings[fault].example[:1]
            if isinstance(example, str):
                shortest(example, lambda text: shows_it((text,)))

    def _ask(self, example: tuple[Any, ...]) -> Finding | None:
        if self.count and time.monotonic() > self._deadline:
            return None
        self.count += 1
        try:
            self._check.invariant(self._implementation, *example)
        except NotSupportedError:
            return None
        except InvariantViolated as violation:
            self.supported += 1
            return Finding(violation.fault, violation.detail, example, violation)
        self.supported += 1
        return None

    def _keep(self, finding: Finding) -> None:
        before = self.findings.get(finding.fault)
        if before is None or finding.size <= before.size:
            self.findings[finding.fault] = finding


def _settings(examples: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
