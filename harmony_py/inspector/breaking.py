"""Streams broken as models break them: the harness's operators, and how well recovery did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.errors import ParseError
from harmony_py.format.decode import to_text
from harmony_py.format.parse import parse
from harmony_py.inspector.source import Opened, SourceError, open_stripped
from harmony_py.testing.implementation import Fields
from harmony_py.testing.judge import find_fault
from harmony_py.testing.mutate import OPERATORS, candidates, mutate
from harmony_py.testing.tokens import Stream

if TYPE_CHECKING:
    from harmony_py.testing.mutate import Mutated

STRIPPED: Final = "M23"
"""The one that leaves text instead of tokens."""


class Broken(NamedTuple):
    """A stream after an operator, and what was done to it."""

    opened: Opened
    report: dict[str, Any]


def breakable(opened: Opened) -> list[str]:
    """The patterns that can be done to a stream; none to one that strict refuses or recovery mends."""
    if not opened.tokens or opened.prompt:
        return []
    try:
        strictly = parse(opened.tokens, opened.role)
    except (ParseError, OverflowError):
        return []
    if strictly != parse(opened.tokens, opened.role, policy="recover", tools=opened.tools):
        return []
    found = candidates(_stream(opened))
    fit = {pattern for pattern, _ in found}
    return [pattern for pattern in OPERATORS if pattern in fit]


def broken(opened: Opened, pattern: str, seed: int) -> Broken:
    """`opened` after `pattern` was done to it, in the way that `seed` draws."""
    if pattern not in OPERATORS:
        raise SourceError("pattern", f"there is no {pattern!r}")
    if pattern not in breakable(opened):
        raise SourceError(pattern, "it does not fit this stream")
    mutated = mutate(_stream(opened), seed, patterns=[pattern])
    after = _after(opened, mutated)
    return Broken(after, _report(mutated, after))


def _stream(opened: Opened) -> Stream:
    return Stream(opened.tokens, opened.role, ())


def _after(opened: Opened, mutated: Mutated) -> Opened:
    tools = tuple(dict.fromkeys([*opened.tools, *mutated.tools]))
    if mutated.done[0].pattern == STRIPPED:
        return open_stripped(to_text(mutated.tokens), tools)
    if mutated.prompt:
        tokens = [*mutated.prompt, *mutated.tokens]
        return opened._replace(tokens=tokens, role=None, prompt=len(mutated.prompt), tools=tools)
    return opened._replace(tokens=mutated.tokens, tools=tools)


def _report(mutated: Mutated, after: Opened) -> dict[str, Any]:
    found = parse(after.tokens, after.role, policy="recover", tools=after.tools).messages
    fault = find_fault(mutated.messages, [Fields.of(message) for message in found])
    shown = mutated.done[0].pattern != STRIPPED
    return {
        "pattern": mutated.done[0].pattern,
        "title": OPERATORS[mutated.done[0].pattern].title,
        "what": list(dict.fromkeys(done.what for done in mutated.done)),
        "spans": [[i + after.prompt for i in done.span] for done in mutated.done] if shown else [],
        "literal": any(done.literal for done in mutated.done),
        "fault": None if fault is None else f"{fault.kind}: {fault.detail}",
    }
