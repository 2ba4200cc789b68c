"""Each of these bugs, planted in our own code, is caught by the check that it should be.

That the checks pass without them, `test_conformance.py` shows.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py.chat.messages import Role
from harmony_py.format import build, decode, grammar, header, machine, mend, message, parse, retention
from harmony_py.format.events import ContentDelta
from harmony_py.testing.adapters import for_harmony_py, load
from harmony_py.testing.conformance import Budget, all_checks, run
from harmony_py.tokenizer.special import CALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harmony_py.format.events import Event, Span

    Plant = Callable[[pytest.MonkeyPatch], None]

BUDGET = Budget(examples=60, faults=1, seconds=60)


def faults_of(check: str) -> list[str]:
    """What the harness finds wrong with our implementation, as far as one check goes."""
    chosen = [each for each in all_checks() if each.name.startswith(check)]
    assert chosen, f"no check is called {check}"
    report = run(load("harmony_py"), BUDGET, checks=chosen)
    assert not report.of("not supported")
    return [finding.fault for outcome in report.outcomes for finding in outcome.findings]


def wrapping(original: Any, after: Callable[..., Any]) -> Any:
    """A function that does what `original` does, and `after` to its result."""

    @functools.wraps(original)
    def changed(*arguments: Any, **options: Any) -> Any:
        return after(original(*arguments, **options))

    return changed


# -- spans, diagnostics ------------------------------------------------------------------------------------


def off_by_one_in_a_span(patch: pytest.MonkeyPatch) -> None:
    def shift(spans: list[Span]) -> list[Span]:
        return [
            s._replace(end=s.end - 1) if s.part == "content" and s.end - s.start > 1 else s for s in spans
        ]

    patch.setattr(machine.Machine, "spans", wrapping(machine.Machine.spans, shift))


def a_header_that_reaches_into_the_content(patch: pytest.MonkeyPatch) -> None:
    def shift(spans: list[Span]) -> list[Span]:
        moved = list(spans)
        for i, (one, two) in enumerate(itertools.pairwise(spans)):
            if (one.part, two.part) == ("header", "content") and two.end - two.start > 1:
                moved[i : i + 2] = [one._replace(end=one.end + 1), two._replace(start=two.start + 1)]
        return moved

    patch.setattr(machine.Machine, "spans", wrapping(machine.Machine.spans, shift))


def diagnostics_at_the_next_token(patch: pytest.MonkeyPatch) -> None:
    report = machine.Machine.report

    def late(self: Any, code: str, start: int, end: int | None = None, detail: str = "") -> None:
        report(self, code, start + 1, end and end + 1, detail)

    patch.setattr(machine.Machine, "report", late)


# -- streaming ---------------------------------------------------------------------------------------------


def changed_events(change: Callable[[list[Event], int], list[Event]]) -> Plant:
    """A parser that hands out other events; `change` also hears how many tokens came."""

    class Parser(parse.StreamableParser):
        __slots__ = ()

        def feed(self, tokens: Iterable[int] | int) -> list[Event]:
            given = [tokens] if isinstance(tokens, int) else list(tokens)
            return change(super().feed(given), len(given))

    return lambda patch: patch.setattr(for_harmony_py, "StreamableParser", Parser)


def _is_space(event: Event) -> bool:
    return isinstance(event, ContentDelta) and event.text.isspace()


dropped_delta = changed_events(lambda events, count: [event for event in events if not _is_space(event)])


def _twice_at_the_border(events: list[Event], count: int) -> list[Event]:
    last = events[-1:] if count > 1 else []
    return [*events, *(event for event in last if isinstance(event, ContentDelta))]


duplicated_delta_at_a_chunk_border = changed_events(_twice_at_the_border)


def replacement_character_flushed_early(patch: pytest.MonkeyPatch) -> None:
    take = decode.TextStream._take
    patch.setattr(decode.TextStream, "_take", lambda self, raw, *, final: take(self, raw, final=True))


def the_last_bytes_never_flushed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decode.TextStream, "finish", lambda self: "")


# -- messages ----------------------------------------------------------------------------------------------


def lost_last_character(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        build, "to_text", wrapping(build.to_text, lambda text: text[:-1] if len(text) > 3 else text)
    )


def stripped_text(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(build, "to_text", wrapping(build.to_text, str.strip))


def recipient_cut(patch: pytest.MonkeyPatch) -> None:
    def cut(read: header.Header) -> header.Header:
        return read._replace(recipient=read.recipient and read.recipient.partition(".")[0])

    patch.setattr(header, "read", wrapping(header.read, cut))


def wrong_role_on_the_second_message(patch: pytest.MonkeyPatch) -> None:
    original = machine.Machine.open_content

    def open_content(self: Any, fields: header.Header, body: int, **options: Any) -> None:
        original(self, fields._replace(role=Role.USER) if self.records else fields, body, **options)

    patch.setattr(machine.Machine, "open_content", open_content)


def terminator_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.delitem(grammar.TABLE[grammar.State.CONTENT].next, CALL)
    patch.setattr(machine, "STOP_TOKENS", machine.STOP_TOKENS - {CALL})


def text_counts_as_a_marker(patch: pytest.MonkeyPatch) -> None:
    def exact(tokens: Any) -> str:
        return original(tokens).replace("<|channel|>", header.CHANNEL_MARK)

    original = header._exact_text
    patch.setattr(header, "_exact_text", exact)
    header._read_cached.cache_clear()


def a_role_outlives_a_refusal(patch: pytest.MonkeyPatch) -> None:
    original = machine.Machine.open_header

    def open_header(self: Any, start: int, role: Role | None = None) -> None:
        original(self, start, role)
        self.role = role or (Role.ASSISTANT if start and not self.records else None)

    patch.setattr(machine.Machine, "open_header", open_header)


# -- recovery ----------------------------------------------------------------------------------------------


def headers_without_an_end_are_dropped(patch: pytest.MonkeyPatch) -> None:
    from harmony_py.format import recover

    patch.setattr(recover, "split", lambda texts: None)


def recipients_stay_split(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mend, "_join_recipient", lambda text, repairs: text)


# -- rendering ---------------------------------------------------------------------------------------------


def swapped_header_order(patch: pytest.MonkeyPatch) -> None:
    def swap(fields: header.Header) -> list[Any]:
        return write(fields._replace(channel=fields.recipient, recipient=fields.channel))

    write = message.write
    patch.setattr(message, "write", swap)


def sources_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(message, "_from_source", lambda parsed: None)


def thoughts_dropped_as_upstream_does(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(retention._POLICIES, "previous_turns", retention._upstream)


BUGS: list[tuple[Plant, str]] = [
    (off_by_one_in_a_span, "spans are the tokens"),
    (a_header_that_reaches_into_the_content, "spans are the tokens"),
    (diagnostics_at_the_next_token, "repairs are reported where they are"),
    (dropped_delta, "deltas are the text"),
    (duplicated_delta_at_a_chunk_border, "streams may be cut anywhere"),
    (replacement_character_flushed_early, "deltas are the text"),
    (the_last_bytes_never_flushed, "deltas are the text"),
    (lost_last_character, "well formed streams are read"),
    (stripped_text, "rendered conversations read back"),
    (recipient_cut, "well formed streams are read"),
    (wrong_role_on_the_second_message, "well formed streams are read"),
    (terminator_forgotten, "well formed streams are read"),
    (text_counts_as_a_marker, "spelling is no structure"),
    (a_role_outlives_a_refusal, "refusals are forgotten"),
    (headers_without_an_end_are_dropped, "malformed streams are recovered, M2"),
    (recipients_stay_split, "malformed streams are recovered, M6"),
    (swapped_header_order, "rendered conversations read back"),
    (sources_forgotten, "parsed messages render to their tokens"),
    (thoughts_dropped_as_upstream_does, "prompts grow at their end"),
    (thoughts_dropped_as_upstream_does, "training keeps the last thoughts"),
]

NAMES = [
    "a delta dropped" if plant is dropped_delta else
    "a delta twice" if plant is duplicated_delta_at_a_chunk_border else
    plant.__name__.replace("_", " ")
    for plant, _ in BUGS
]  # fmt: skip


@pytest.mark.parametrize(("plant", "check"), BUGS, ids=NAMES)
def test_a_planted_bug_is_caught(plant: Plant, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    header._read_cached.cache_clear()
    try:
        faults = faults_of(check)
    finally:
        header._read_cached.cache_clear()
    assert faults
    # Noticed for what it does to messages, not because something broke.
    assert not any(fault.startswith("crashed") for fault in faults)
