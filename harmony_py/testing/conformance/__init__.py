"""How far an implementation follows the format: vectors and invariants run against it, and the report.

`run` asks an implementation everything there is to ask. Examples are drawn and made small by hypothesis, the
same ones for the same seed; a check goes on after its first fault and looks for others.
"""

from __future__ import annotations

from harmony_py.testing.extras import require

require("hypothesis", "harmony_py.testing.conformance")

from harmony_py.testing.conformance.checks import Check, all_checks  # noqa: E402  # hypothesis comes first
from harmony_py.testing.conformance.run import Budget, Finding, Outcome, Report, run  # noqa: E402

__all__ = ["Budget", "Check", "Finding", "Outcome", "Report", "all_checks", "run"]
