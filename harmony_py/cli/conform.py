"""Test an implementation of the harmony format, and show where it is wrong.

It is asked everything that the test harness knows to ask; each fault is shown with the smallest example of it
that was found. The same seed gives the same examples.

  harmony-py conform --only "text comes back"
  harmony-py conform --impl openai_harmony
  harmony-py conform --impl my_module:my_factory --only recovered --json
  harmony-py conform --impl openai_harmony --json report.json --junit report.xml

The exit code is 0 if every check passed or is not supported, 1 if one failed, 2 if nothing could be asked.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from harmony_py.cli.inputs import STDIN, at_least, write_text
from harmony_py.cli.terminal import show_progress, write

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from harmony_py.testing.adapters import ADAPTERS

    known = "; ".join(f"{name}, {what}" for name, what in ADAPTERS.items())
    parser.add_argument("--impl", default="harmony_py", metavar="NAME", help=f"{known}; or module:factory")
    parser.add_argument("--only", action="append", metavar="TEXT", help="only checks whose name holds it")
    parser.add_argument(
        "--examples", type=at_least(1), default=100, help="how many to draw for a check (default 100)"
    )
    parser.add_argument("--seconds", type=float, default=20, help="the most for a check (default 20)")
    parser.add_argument(
        "--faults", type=at_least(1), default=3, help="how many to look for in a check (default 3)"
    )
    parser.add_argument("--seed", type=int, default=0, help="another one gives other examples (default 0)")
    parser.add_argument("--markdown", action="store_true", help="print the report as Markdown")
    parser.add_argument(
        "--json",
        nargs="?",
        const=STDIN,
        metavar="FILE",
        help="write the report as JSON, too; without FILE print nothing else",
    )
    parser.add_argument("--junit", metavar="FILE", help="also write the report for CI systems")
    parser.add_argument("--list", action="store_true", help="only list the checks")


def run(options: argparse.Namespace) -> int:
    from harmony_py.cli import FAILED, MISUSED
    from harmony_py.testing.adapters import load
    from harmony_py.testing.conformance import Budget, all_checks
    from harmony_py.testing.conformance import run as ask
    from harmony_py.testing.conformance.report import as_json, as_junit, as_markdown, as_table

    checks = [check for check in all_checks() if _wanted(check.name, options.only)]
    if not checks:
        print(f"no check's name holds {' or '.join(options.only)}; --list shows them", file=sys.stderr)
        return MISUSED
    if options.list:
        names = [check.name for check in checks]
        write(json.dumps(names) if options.json == STDIN else "\n".join(names))
        return 0
    budget = Budget(options.examples, options.seconds, options.faults, options.seed)
    report = ask(load(options.impl), budget, checks=checks, progress=show_progress)
    for name, text in ((options.json, as_json), (options.junit, as_junit)):
        if name and name != STDIN:
            write_text(name, text(report) + "\n")
    if options.json == STDIN:
        write(as_json(report))
    else:
        write(as_markdown(report) if options.markdown else as_table(report))
    return 0 if report.passed else FAILED


def _wanted(name: str, only: list[str] | None) -> bool:
    return not only or any(text.lower() in name.lower() for text in only)
