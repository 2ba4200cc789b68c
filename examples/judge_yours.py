"""The test harness against an implementation of your own: its faults, each with the smallest case of it.

`harmony-py conform --impl judge_yours:Mine` in this folder does the same. Needs the extra `testing`.
"""

from __future__ import annotations

from harmony_py.testing.adapters import load
from harmony_py.testing.conformance import Budget, all_checks, run
from harmony_py.testing.conformance.report import as_table
from harmony_py.testing.implementation import Fields, Implementation


class Mine(Implementation):
    """Stands in for yours: a parser that drops the spaces around a message. What is missing is not asked."""

    name, version = "mine", "1"

    def parse(self, tokens: list[int], role: str | None) -> list[Fields]:
        read = load("harmony_py").parse(tokens, role)
        return [fields._replace(text=fields.text.strip()) for fields in read.messages]


def main() -> None:
    checks = [check for check in all_checks() if "streams are read" in check.name]
    print(as_table(run(Mine(), Budget(examples=100), checks=checks)))


if __name__ == "__main__":
    main()
