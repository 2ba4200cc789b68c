"""The published vectors, and what they ask of an implementation. See the README beside the files.

Judged by behaviour (`testing/judge.py`): that nothing is lost, merged, invented or misread. How an
implementation reports repairs, and which tokens it counts as noise, is its own affair.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from harmony_py.testing.implementation import Fields, NotSupportedError, Reading, RefusedError
from harmony_py.testing.invariants.violation import invariant, wrong
from harmony_py.testing.judge import find_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.testing.implementation import Implementation

Case = dict[str, Any]


class VectorFile(NamedTuple):
    """One pattern: what it is, and its cases."""

    pattern: str
    title: str
    kind: str
    cases: tuple[VectorCase, ...]


class VectorCase(NamedTuple):
    """One case, as it stands in its file; with tokens and a role like a stream."""

    name: str
    tokens: list[int]
    role: str | None
    data: Case


@functools.cache
def files() -> tuple[VectorFile, ...]:
    """All of them, M1 to M27."""
    found = []
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".json"):
            document = json.loads(file.read_text(encoding="utf-8"))
            cases = tuple(
                VectorCase(case["name"], case.get("tokens", []), case.get("role"), case)
                for case in document["cases"]
            )
            found.append(VectorFile(document["pattern"], document["title"], document["kind"], cases))
    return tuple(sorted(found, key=lambda file: int(file.pattern[1:])))


def vector_invariant(kind: str) -> Callable[[Implementation, VectorCase], None]:
    """What the vectors of a kind ask."""
    return _BY_KIND[kind]


def _judge(meant: list[dict[str, str]], found: Any) -> None:
    fault = find_fault([Fields.of(message) for message in meant], Reading.of(found).messages)
    if fault is not None:
        wrong(fault.kind, fault.detail)


@invariant
def a_vector_of_tokens(implementation: Implementation, case: VectorCase) -> None:
    """Recovery finds what was meant. Without knowledge of the tools their names need not be corrected."""
    tools = case.data.get("tools", ())
    if tools and not implementation.knows_tools:
        raise NotSupportedError("correcting the names of tools")
    wanted = case.data["recover"]
    open_fields = dict.fromkeys(wanted.get("undecided", ()))
    meant = [{**message, **open_fields} for message in wanted["messages"]]
    _judge(meant, implementation.recover(case.tokens, case.role, tools))


@invariant
def a_vector_of_a_prompt(implementation: Implementation, case: VectorCase) -> None:
    """The message that a prompt has begun is read as one."""
    _judge(case.data["messages"], implementation.resume(case.data["prompt"], case.tokens))


@invariant
def a_vector_of_text(implementation: Implementation, case: VectorCase) -> None:
    """Text whose control tokens are spelled or gone still tells what was said."""
    _judge(
        case.data["messages"], implementation.parse_text(case.data["text"], case.role, case.data["markers"])
    )


@invariant
def a_vector_of_arguments(implementation: Implementation, case: VectorCase) -> None:
    """A call's arguments are what was meant, or refused where nobody can tell."""
    wanted = case.data["repair"]
    try:
        found = implementation.arguments(case.data["text"], case.data.get("only_parameter"))
    except RefusedError as refusal:
        if "value" not in wanted:
            return
        raise refusal
    if "value" not in wanted:
        wrong("arguments that nobody passed", repr(found))
    if found != wanted["value"]:
        wrong("other arguments", f"{found!r} instead of {wanted['value']!r}")


_BY_KIND: dict[str, Callable[[Implementation, VectorCase], None]] = {
    "tokens": a_vector_of_tokens,
    "prompt": a_vector_of_a_prompt,
    "text": a_vector_of_text,
    "arguments": a_vector_of_arguments,
}
