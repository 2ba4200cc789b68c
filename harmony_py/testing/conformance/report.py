"""Reports as people and machines read them: a table, Markdown, JSON, JUnit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from harmony_py.testing.show import show

if TYPE_CHECKING:
    from harmony_py.testing.conformance.run import Finding, Outcome, Report


def summary(report: Report) -> str:
    """One line: what was asked of whom, and how it went."""
    counts = ", ".join(
        f"{len(report.of(status))} {status}" for status in ("passed", "failed", "not supported")
    )
    budget = report.budget
    return (
        f"{report.name} {report.version}: {counts} (seed {budget.seed}, {budget.examples} examples a check)"
    )


def as_table(report: Report) -> str:
    """The whole report for a terminal: failures last, where they are seen."""
    lines = []
    for status in ("passed", "not supported", "failed"):
        for outcome in report.of(status):
            lines.append(f"{status:<13}  {outcome.check.name}")
            for finding in outcome.findings:
                lines += [f"{'':15}{line}" for line in _describe(finding)]
    return "\n".join([*lines, "", summary(report)])


def _describe(finding: Finding) -> list[str]:
    return [
        f"{finding.fault} ({finding.size} tokens): {finding.detail}",
        *(f"  {line}" for line in finding.shown.splitlines()),
    ]


def as_markdown(report: Report) -> str:
    """Failures as a table for a page, what passed and what is not supported as lists."""
    rows = [
        f"| {_escaped(outcome.check.name)} | {finding.fault} | {_cell(finding)} | {finding.size} |"
        for outcome in report.of("failed")
        for finding in outcome.findings
    ]
    parts = [summary(report)]
    if rows:
        parts.append(
            "\n".join(["| check | fault | smallest counterexample | tokens |", "|---|---|---|---:|", *rows])
        )
    for status in ("passed", "not supported"):
        names = [outcome.check.name for outcome in report.of(status)]
        if names:
            parts.append(_escaped(f"{status.capitalize()}: {'; '.join(names)}."))
    return "\n\n".join(parts)


def _cell(finding: Finding) -> str:
    """A counterexample in one cell: without the ids, which the spelling tells but for what is no text."""
    lines = [line for line in finding.shown.splitlines() if not line.startswith(("[", "("))]
    return _escaped("<br>".join(f"`{line}`" for line in lines))


def _escaped(text: str) -> str:
    """In a table a bar ends a cell, in code too."""
    return text.replace("|", "\\|")


def as_json(report: Report) -> str:
    """Everything, examples in full."""
    return json.dumps(
        {
            "implementation": report.name,
            "version": report.version,
            "budget": report.budget._asdict(),
            "checks": [_plain(outcome) for outcome in report.outcomes],
        },
        ensure_ascii=False,
        indent=1,
    )


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.check.name,
        "group": outcome.check.group,
        "status": outcome.status,
        "examples": outcome.examples,
        "seconds": round(outcome.seconds, 3),
        "findings": [
            {
                "fault": finding.fault,
                "detail": finding.detail,
                "tokens": finding.size,
                "example": [_plain_example(example) for example in finding.example],
            }
            for finding in outcome.findings
        ],
    }


def _plain_example(example: Any) -> Any:
    if hasattr(example, "tokens"):
        prompt = {"prompt": list(example.prompt)} if getattr(example, "prompt", ()) else {}
        return {"role": example.role, "tokens": example.tokens, **prompt, "shown": show(example)}
    return example


def as_junit(report: Report) -> str:
    """For the pages on which CI systems show tests."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"harmony conformance of {report.name} {report.version}",
        tests=str(len(report.outcomes)),
        failures=str(len(report.of("failed"))),
        skipped=str(len(report.of("not supported"))),
        time=f"{sum(outcome.seconds for outcome in report.outcomes):.3f}",
    )
    for outcome in report.outcomes:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"harmony.{outcome.check.group}",
            name=outcome.check.name,
            time=f"{outcome.seconds:.3f}",
        )
        if outcome.status == "not supported":
            ElementTree.SubElement(case, "skipped", message="not supported")
        elif outcome.findings:
            faults = "; ".join(finding.fault for finding in outcome.findings)
            failure = ElementTree.SubElement(case, "failure", message=_printable(faults))
            failure.text = _printable("\n\n".join("\n".join(_describe(each)) for each in outcome.findings))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _printable(text: str) -> str:
    """XML has no way to write most control characters, nor lone surrogates."""
    return "".join(c if c in "\n\t" or c.isprintable() else repr(c)[1:-1] for c in text)
