"""Ours beside openai-harmony: a token at a time, polled as engines poll, in chunks, and whole turns."""

from __future__ import annotations

import argparse
import functools
import gc
import os
import sys
import tempfile
import time
import tracemalloc
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.harness import pin
from benchmarks.report import Comparison, Figure, environment
from harmony_py import Tokenizer
from harmony_py.format.parse import PolicyName, StreamableParser, parse
from harmony_py.tokenizer import vocab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harmony_py.chat import Message

OURS, UPSTREAM = "harmony_py", "openai-harmony"
FINISHED = (0, 10, 40)
CHUNKS = (1, 8, 64)
KEPT = 100
"""Turns that are kept in order to weigh them."""
ENOUGH_SECONDS, MOST_ROUNDS = 0.01, 50
POLICIES: tuple[PolicyName, ...] = ("strict", "recover")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

THOUGHTS = (
    "The user asks when the last train leaves for Łódź and whether a café on the platform is open by then. "
    "I should look up the timetable first; the station's own page lists departures by the minute (18:42, "
    "19:07, 21:55), but the last one may not run on Sundays — check that. Then answer, with the source.\n\n"
)
ANSWER = (
    "The last train leaves at **21:55** from platform 3; on Sundays it is the 19:07.\n\n"
    "- The café closes at 20:00 🕗, so buy your tea before.\n"
    "- Tickets: `zł 38,50`, online or from the driver.\n"
)
CALL = '{"from": "Warszawa Centralna", "to": "Łódź Fabryczna", "date": "2025-11-23", "limit": 20}'

NOTES = """\
Both parsers in one process, the same tokens, repeats interleaved, the garbage collector off; medians.
`polled`: after every token the properties that engines read: `last_content_delta`, `current_channel`,
`current_recipient`; `polled like vLLM`: also the number of finished messages. `events by N`: our `feed` in
chunks of N beside upstream's `process`, polled. `A : B` says how many times better A is than B."""


class Turn(NamedTuple):
    """What an assistant writes between a prompt and the end of its turn."""

    name: str
    tokens: list[int]


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    upstream = Upstream(options.upstream)
    pin()
    print(f"{environment(['harmony-py', options.distribution, 'pydantic'])}\n\n{NOTES}\n")
    for title, cases in {
        "Whole turns, `parse`": whole_turns(upstream),
        "Token by token": token_by_token(upstream),
        "Polled like vLLM": behind_finished_messages(upstream),
    }.items():
        print(
            f"\n{measured(title, cases, options.repeats, CLOCKS[options.clock]).markdown(UPSTREAM)}",
            flush=True,
        )
    print(f"\n{memory(upstream).markdown(UPSTREAM)}")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks parse", description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--clock", choices=CLOCKS, default="cpu")
    parser.add_argument(
        "--upstream", metavar="FOLDER", help="import openai_harmony from here: to measure a fork instead"
    )
    parser.add_argument("--distribution", default="openai-harmony", help="the name it was published under")
    return parser.parse_args(arguments)


class Upstream:
    """openai-harmony, or a fork of it with the same interface."""

    def __init__(self, folder: str | None) -> None:
        if folder:
            sys.path.insert(0, folder)
        import openai_harmony  # type: ignore[import-untyped]

        self.library = openai_harmony
        self.assistant = openai_harmony.Role.ASSISTANT
        with tempfile.TemporaryDirectory(prefix="harmony-py-bench-") as vocabulary:
            vocab.export(vocabulary)
            os.environ["TIKTOKEN_ENCODINGS_BASE"] = vocabulary
            self.encoding = openai_harmony.load_harmony_encoding("HarmonyGptOss")
        self.parser_class = openai_harmony.StreamableParser

    def parser(self) -> Any:
        return self.parser_class(self.encoding, self.assistant)

    def parse(self, tokens: list[int]) -> Any:
        return self.encoding.parse_messages_from_completion_tokens(tokens, self.assistant)


def turns() -> Iterator[Turn]:
    tokenizer = Tokenizer.o200k_harmony()
    for name, times in (("short", 1), ("typical", 6), ("long", 60)):
        text = (
            f"<|channel|>analysis<|message|>{THOUGHTS * times}<|end|>"
            f"<|start|>assistant<|channel|>commentary to=functions.timetable <|constrain|>json<|message|>"
            f"{CALL}<|call|><|start|>assistant<|channel|>final<|message|>{ANSWER * times}<|return|>"
        )
        tokens = tokenizer.encode(text, allowed_special="all")
        yield Turn(f"{name}, {len(tokens):,} tokens", tokens)


def finished(count: int) -> list[int]:
    """A completion that has come to the header of the message after `count` finished ones."""
    message = f"<|channel|>analysis<|message|>{THOUGHTS}<|end|><|start|>assistant"
    return Tokenizer.o200k_harmony().encode(message * count, allowed_special="all")


# -- what is measured --------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A stretch of tokens, and for each library what to prepare, unmeasured, and what to do with it."""

    name: str
    tokens: int
    calls: Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]]


def process(tokens: list[int], parser: Any) -> Any:
    for token in tokens:
        parser.process(token)
    return parser


def process_and_poll(tokens: list[int], parser: Any) -> None:
    for token in tokens:
        parser.process(token)
        parser.last_content_delta, parser.current_channel, parser.current_recipient  # noqa: B018


def process_and_poll_messages(tokens: list[int], parser: Any) -> None:
    for token in tokens:
        parser.process(token)
        len(parser.messages)
        parser.last_content_delta, parser.current_channel, parser.current_recipient  # noqa: B018


def feed(tokens: list[int], chunk: int, parser: StreamableParser) -> None:
    for start in range(0, len(tokens), chunk):
        parser.feed(tokens[start : start + chunk])


def our_parser() -> StreamableParser:
    return StreamableParser(None, "assistant")


def whole_turns(upstream: Upstream) -> Iterator[Case]:
    """The tokens are what is prepared: nothing is carried from one call to the next."""
    for name, ids in turns():
        prepare = ids.copy
        for policy in POLICIES:
            ours = functools.partial(parse, role="assistant", policy=policy)
            yield Case(
                f"{name}, {policy}", len(ids), {OURS: (prepare, ours), UPSTREAM: (prepare, upstream.parse)}
            )


def token_by_token(upstream: Upstream) -> Iterator[Case]:
    ids = next(turn.tokens for turn in turns() if turn.name.startswith("typical"))
    for name, run in (("process", process), ("process, polled", process_and_poll)):
        call = functools.partial(run, ids)
        yield Case(name, len(ids), {OURS: (our_parser, call), UPSTREAM: (upstream.parser, call)})
    theirs = functools.partial(process_and_poll, ids)
    for chunk in CHUNKS:
        ours = functools.partial(feed, ids, chunk)
        name = f"events by {chunk}"
        yield Case(name, len(ids), {OURS: (our_parser, ours), UPSTREAM: (upstream.parser, theirs)})


def behind_finished_messages(upstream: Upstream) -> Iterator[Case]:
    ids = Tokenizer.o200k_harmony().encode(f"<|channel|>final<|message|>{ANSWER}", allowed_special="all")
    for count in FINISHED:
        calls = {}
        for library, new in ((OURS, our_parser), (UPSTREAM, upstream.parser)):
            calls[library] = (
                functools.partial(behind, finished(count), new),
                functools.partial(process_and_poll_messages, ids),
            )
        yield Case(f"{count} finished messages", len(ids), calls)


def behind(tokens: list[int], new: Callable[[], Any]) -> Any:
    """A parser that has `tokens` behind it, and whose messages have been seen."""
    parser = process(tokens, new())
    len(parser.messages)
    return parser


def measured(title: str, cases: Iterator[Case], repeats: int, clock: Callable[[], float]) -> Comparison:
    """Every case on every library, taking turns."""
    figures = []
    for case in cases:
        samples: dict[str, list[float]] = {library: [] for library in case.calls}
        for repeat in range(repeats + 1):
            for library, (prepare, call) in case.calls.items():
                seconds = timed_often(prepare, call, clock)
                if repeat:
                    samples[library].append(seconds * 1e6 / case.tokens)
        figures += [Figure(case.name, library, tuple(values)) for library, values in samples.items()]
    return Comparison(title, "us a token", False, figures)


def timed_often(
    prepare: Callable[[], Any], call: Callable[[Any], object], clock: Callable[[], float]
) -> float:
    """Seconds that `call` takes in a process that does little else, preparations not counted."""
    gc.collect()
    gc.disable()
    try:
        spent, rounds = 0.0, 0
        while rounds < MOST_ROUNDS and spent < ENOUGH_SECONDS:
            subject = prepare()
            start = clock()
            result = call(subject)
            spent += clock() - start
            rounds += 1
            del result
        return spent / rounds
    finally:
        gc.enable()


def memory(upstream: Upstream) -> Comparison:
    """What the messages of a turn take while somebody keeps them: Python objects, for both libraries."""
    figures = []
    for name, ids in turns():
        for library, call in ((OURS, our_messages), (UPSTREAM, upstream.parse)):
            call(ids)
            tracemalloc.start()
            kept = [call(ids) for _ in range(KEPT)]
            size, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            figures.append(Figure(name, library, (size / len(kept) / 1024,)))
    return Comparison("Memory of the messages kept", "KiB a turn", False, figures)


def our_messages(tokens: list[int]) -> list[Message]:
    return parse(tokens, "assistant").messages


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
