"""Ours beside openai-harmony: prompts of conversations with tools: new, rebuilt, with one more message."""

from __future__ import annotations

import argparse
import functools
import sys
from typing import TYPE_CHECKING, Any

import harmony_py.chat as chat
from benchmarks.harness import pin
from benchmarks.parse import CLOCKS, OURS, UPSTREAM, Upstream, timed_often
from benchmarks.report import Comparison, Figure, environment
from harmony_py.cli.measure.messages import talk
from harmony_py.format.config import UPSTREAM as AS_UPSTREAM
from harmony_py.format.encoding import HarmonyEncoding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TURNS = (1, 10, 100)

INSTRUCTIONS = "Answer briefly and in a friendly tone, and say where you looked things up."
TOOLS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "departures",
        "Lists departures from a station in the order of their times.",
        {
            "type": "object",
            "properties": {
                "station": {"type": "string", "description": "The station's name as its town writes it"},
                "line": {"type": "string", "enum": ["rail", "tram", "bus"], "default": "rail"},
                "limit": {"type": "integer", "default": 10},
            },
            "required": ["station"],
        },
    ),
    (
        "opening_hours",
        "Looks up when a place is open.",
        {
            "type": "object",
            "properties": {
                "place": {"type": "string"},
                "near": {"type": "object", "properties": {"station": {"type": "string"}}},
                "on": {"type": "string", "description": "A date, or a day of the week"},
            },
            "required": ["place"],
        },
    ),
]
QUESTION = "When does the last train leave for town number {}, and can I get a coffee at the station by then?"
THOUGHT = (
    "The user wants the last departure for town number {} and the opening hours of a café at the station. "
    "The timetable comes first: it lists departures by the minute, and the last one may not run on Sundays."
)
ARGUMENTS = '{{"station": "Town {0}", "line": "rail", "limit": {0}}}'
RESULT = '{{"departures": [{{"at": "18:42", "platform": 3}}, {{"at": "21:55", "platform": {}}}], "page": 1}}'
ANSWER = (
    "The last train to town number {} leaves at **21:55** from platform 3; on Sundays it is the 19:07.\n\n"
    "- The café closes at 20:00, so get your coffee before.\n"
    "- Tickets are sold at the machine and on board.\n"
)

NOTES = """\
Both in one process, repeats interleaved, the garbage collector off, medians; the tokens are the same, as is
checked. A turn is five messages: a question, a thought, a call, its result, an answer; before them stand a
system message and a developer message with two tools. `new`: an encoding that was just made. `rebuilt`: the
same conversation in new objects, as a server builds it that is sent the whole of it with every request. `one
more`: a message was appended. `native` is our own API rather than the drop-in: extended schemas, and no
thought is left out that upstream keeps. Building the message objects is not counted."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks render", description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--clock", choices=CLOCKS, default="cpu")
    options = parser.parse_args(arguments)
    upstream = Upstream(None)
    check(upstream)
    pin()
    print(f"{environment(['harmony-py', 'openai-harmony', 'pydantic'])}\n\n{NOTES}\n")
    for title, prepare in {"new": new, "rebuilt": rebuilt, "one more": one_more}.items():
        comparison = measured(title, prepare, upstream, options.repeats, CLOCKS[options.clock])
        print(f"\n{comparison.markdown(UPSTREAM)}", flush=True)
    return 0


def conversation(library: Any, turns: int) -> Any:
    """A conversation of `turns` turns, in the classes of either library."""
    tools = [library.ToolDescription.new(*tool) for tool in TOOLS]
    system = library.SystemContent.new().with_conversation_start_date("2025-11-21")
    developer = library.DeveloperContent.new().with_instructions(INSTRUCTIONS).with_function_tools(tools)
    texts = (QUESTION, THOUGHT, ARGUMENTS, RESULT, ANSWER)
    return talk(library, system, developer, "functions.departures", texts, turns)


def prompt(encoding: Any, library: Any, subject: Any) -> Callable[[], list[int]]:
    return functools.partial(encoding.render_conversation_for_completion, subject, library.Role.ASSISTANT)


def new(library: Any, encoding: Any, turns: int) -> Callable[[], list[int]]:
    return prompt(fresh(encoding), library, conversation(library, turns))


def rebuilt(library: Any, encoding: Any, turns: int) -> Callable[[], list[int]]:
    prompt(encoding, library, conversation(library, turns))()
    return prompt(encoding, library, conversation(library, turns))


def one_more(library: Any, encoding: Any, turns: int) -> Callable[[], list[int]]:
    encoding, subject = fresh(encoding), conversation(library, turns)
    prompt(encoding, library, subject)()
    subject.messages.append(library.Message.from_role_and_content(library.Role.USER, QUESTION.format("x")))
    return prompt(encoding, library, subject)


def fresh(encoding: Any) -> Any:
    """An encoding that remembers nothing; openai-harmony's never does."""
    return HarmonyEncoding(config=encoding.config) if isinstance(encoding, HarmonyEncoding) else encoding


def subjects(upstream: Upstream) -> dict[str, tuple[Any, Any]]:
    """The classes and the encoding of each library."""
    return {
        OURS: (chat, HarmonyEncoding(config=AS_UPSTREAM)),
        UPSTREAM: (upstream.library, upstream.encoding),
    }


def check(upstream: Upstream) -> None:
    """Stop if the libraries do not render the same tokens."""
    for turns in TURNS:
        found = [one_more(*subject, turns)() for subject in subjects(upstream).values()]
        if found[0] != found[1]:
            raise SystemExit(f"the tokens of {turns} turns differ")


def measured(
    title: str,
    prepare: Callable[[Any, Any, int], Callable[[], list[int]]],
    upstream: Upstream,
    repeats: int,
    clock: Callable[[], float],
) -> Comparison:
    figures = []
    native = {**subjects(upstream), OURS: (chat, HarmonyEncoding())}
    for turns, compared, note in [(turns, subjects(upstream), "") for turns in TURNS] + [
        (TURNS[-1], native, ", native")
    ]:
        samples: dict[str, list[float]] = {name: [] for name in compared}
        for repeat in range(repeats + 1):
            for name, (library, encoding) in compared.items():
                ready = functools.partial(prepare, library, encoding, turns)
                seconds = timed_often(ready, lambda call: call(), clock)
                if repeat:
                    samples[name].append(seconds * 1e6)
        label = f"turns: {turns}{note}"
        figures += [Figure(label, name, tuple(values)) for name, values in samples.items()]
    return Comparison(f"A prompt, {title}", "us", False, figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
