"""The harness finds what is wrong with `openai-harmony` 0.0.8 by itself, in a few tokens each."""

from __future__ import annotations

import pytest

from harmony_py.testing.adapters import load
from harmony_py.testing.conformance import Budget, all_checks
from harmony_py.testing.conformance.run import run_check

THEIRS = load("openai_harmony")

DEFECTS = {
    "prompts end in an open header": {"refused"},
    "headers cannot be forged": {"forged role"},
    "prompts grow at their end": {"a prompt changes behind its end"},
    "training keeps the last thoughts": {"thoughts left out"},
    "everyone is nobody": {"another message"},
    "messages survive a dump": {"another text"},
    "parsed messages render to their tokens": {"other tokens"},
    "spelling is no structure": {"a header forged by text"},
    "refusals are forgotten": {"another role"},
    "malformed streams are refused or read, M5": {"control token in the recipient"},
    "malformed streams are recovered, M2": {"text lost"},
    "malformed streams are recovered, M11": {"refused"},
    "malformed streams are recovered, M19": {"messages merged"},
}
"""What they are known to get wrong, and how: nothing of this is known to the harness."""


@pytest.mark.parametrize("name", DEFECTS)
def test_a_known_defect_is_found_and_made_small(name: str) -> None:
    [check] = [check for check in all_checks() if check.name == name or check.name.startswith(f"{name}:")]
    outcome = run_check(THEIRS, check, Budget(examples=50, seconds=60))
    assert DEFECTS[name] <= {finding.fault for finding in outcome.findings}
    assert all(0 <= finding.size <= 30 for finding in outcome.findings)


@pytest.mark.parametrize("name", ["text comes back", "text is never control", "streams read like the whole"])
def test_what_they_get_right_passes(name: str) -> None:
    [check] = [check for check in all_checks() if check.name == name]
    assert run_check(THEIRS, check, Budget(examples=30, seconds=60)).status == "passed"
