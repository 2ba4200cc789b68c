"""The malformations that models really make, M1 to M27, as operators on a well-formed stream.

`mutate` does some of them to a stream, the same ones for the same seed. What comes back tells the tokens,
what was done to which of them, and what messages a reader that understands the model should still find. Needs
no hypothesis; `strategies.malformed` draws the same things so that they shrink.

The vectors (`testing/vectors`) show each pattern as it was seen; the operators make as many as you like.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from harmony_py.testing.mutate import boundaries, contents, headers
from harmony_py.testing.mutate.operator import Choose, Done, Draft, Mutated, Operator, Place, places

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harmony_py.testing.tokens import Stream

__all__ = ["OPERATORS", "Choose", "Done", "Mutated", "Operator", "candidates", "mutate", "mutate_with"]

OPERATORS: dict[str, Operator] = {
    operator.pattern: operator
    for operator in sorted(
        [*boundaries.OPERATORS, *headers.OPERATORS, *contents.OPERATORS],
        key=lambda operator: int(operator.pattern[1:]),
    )
}
"""The operators by pattern."""


def candidates(stream: Stream, patterns: Iterable[str] | None = None) -> list[tuple[str, int]]:
    """What could be done to `stream`: patterns, and the message of which each would be made."""
    found = places(stream)
    names = OPERATORS if patterns is None else patterns
    return [(name, i) for name in names for i in range(len(found)) if OPERATORS[name].fits(found, i)]


def mutate_with(stream: Stream, picked: Sequence[tuple[str, int]], choose: Choose) -> Mutated:
    """`stream` after all of `picked`, which are candidates; `choose` decides the particulars."""
    found = places(stream)
    return _apply(stream, found, [OPERATORS[name].draft(found, i, choose) for name, i in picked])


def mutate(stream: Stream, seed: int, *, patterns: Iterable[str] | None = None, count: int = 1) -> Mutated:
    """`stream` after up to `count` of the operators in `patterns`, by default any of them.

    Several are done to messages that are no neighbours, so that none undoes or hides another. Where nothing
    can be done the stream comes back as it was, and `done` is empty.
    """
    chance = random.Random(seed)
    picked: list[tuple[str, int]] = []
    left = candidates(stream, patterns)
    while left and len(picked) < count:
        picked.append(chance.choice(left))
        whole = any(OPERATORS[name].whole for name, _ in picked)
        left = [] if whole else [c for c in left if _apart(c, picked)]
    return mutate_with(stream, picked, chance.choice)


def _apart(candidate: tuple[str, int], picked: list[tuple[str, int]]) -> bool:
    name, i = candidate
    return not OPERATORS[name].whole and all(abs(i - other) > 1 for _, other in picked)


def _apply(stream: Stream, found: list[Place], drafts: list[Draft]) -> Mutated:
    tokens: list[int] = []
    done: list[Done] = []
    at = 0
    edits = [(edit, draft) for draft in drafts for edit in draft.edits]
    for edit, draft in sorted(edits, key=lambda pair: pair[0][:2]):
        tokens += stream.tokens[at : edit.start]
        begin = len(tokens)
        tokens += edit.new
        at = edit.end
        span, original = (begin, len(tokens)), (edit.start, edit.end)
        done.append(Done(draft.pattern, draft.what, span, original, draft.literal))
    tokens += stream.tokens[at:]
    becomes = {index: messages for draft in drafts for index, messages in draft.becomes.items()}
    meant = [fields for i, place in enumerate(found) for fields in becomes.get(i, [place.fields])]
    prompt = [token for draft in drafts for token in draft.prompt]
    tools = tuple(tool for draft in drafts for tool in draft.tools)
    return Mutated(tokens, stream.role, tuple(meant), tuple(done), tools, tuple(prompt))
