"""What a mask costs: building the vocabulary, compiling a specification, and each token of a turn."""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import in_process, pin, timed
from benchmarks.render import TOOLS
from benchmarks.report import environment, table
from harmony_py import Tokenizer
from harmony_py.chat import ToolDescription
from harmony_py.constrain import JsonSchema, Mask, TurnSpec
from harmony_py.constrain.engine import vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MODULE = "benchmarks.constrain"
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "station": {"type": "string"},
        "platform": {"type": "integer", "minimum": 1, "maximum": 40},
        "departures": {"type": "array", "items": {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"}},
    },
    "required": ["station", "departures"],
    "additionalProperties": False,
}
THOUGHT = (
    "The user asks for the last train; the timetable of Łódź lists departures by the minute. Look it up. "
)
FINAL = '{"station": "Łódź Fabryczna — hall 2", "platform": 3, "departures": ["18:42", "21:55"]}'
CALL = '{"station": "Łódź Fabryczna", "line": "rail", "limit": 5}'
HEADER = "<|start|>assistant"

NOTES = """\
Thoughts, then a call or an answer, walked along: at every token the mask is computed and the token taken.
`mask` is `Mask.allowed`, `token` is `Mask.advance`, in us; `first` is the time to a mask for a specification
never seen, `again` for one seen before, in ms. The vocabulary is built in a process of its own."""


def specs() -> dict[str, tuple[TurnSpec, str]]:
    """Specifications, and for each a turn that satisfies it."""
    tools = [ToolDescription.new(name, text, schema) for name, text, schema in TOOLS]
    many = [ToolDescription.new(f"{tool.name}_{i}", "", tool.parameters) for i in range(50) for tool in tools]
    thought = f"<|channel|>analysis<|message|>{THOUGHT * 3}<|end|>{HEADER}"
    call = f"<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{CALL}<|call|>"
    answer = f"{thought}<|channel|>final<|message|>"
    return {
        "text": (TurnSpec(), f"{answer}{THOUGHT * 3}<|return|>"),
        "two tools": (TurnSpec(tools), thought + call.replace("NAME", "departures")),
        "100 tools": (TurnSpec(many), thought + call.replace("NAME", "departures_49")),
        "JSON answer": (TurnSpec(final=JsonSchema(ANSWER)), f"{answer}{FINAL}<|return|>"),
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks constrain", description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="three repeats")
    options = parser.parse_args(arguments)
    repeats = 3 if options.quick else options.repeats
    pin()
    print(f"{environment(['harmony-py', 'llguidance'])}\n\n{NOTES}\n")
    answers = [in_process(MODULE, {}) for _ in range(min(repeats, 5))]
    median = {key: statistics.median(answer[key] for answer in answers) for key in answers[0]}
    print(f"Vocabulary: {median['seconds']:.2f} s, {median['megabytes']:.0f} MB more resident memory.\n")
    vocabulary()
    rows = [row(name, spec, turn, repeats) for name, (spec, turn) in specs().items()]
    print(table(["turn", "first", "again", "mask: median", "p99", "most", "token: median"], rows))
    return 0


def row(name: str, spec: TurnSpec, turn: str, repeats: int) -> list[str]:
    tokens = Tokenizer.o200k_harmony().encode(turn, allowed_special="all")
    first, mask = timed(lambda: Mask.from_spec(spec))
    again = [timed(lambda: Mask.from_spec(spec))[0].cpu for _ in range(repeats)]
    masks: list[float] = []
    steps: list[float] = []
    for repeat in range(repeats + 1):
        walk = mask.copy()
        seen = [(clocked(walk.allowed), clocked(functools.partial(walk.advance, token))) for token in tokens]
        assert walk.done
        if repeat:
            masks += [each for each, _ in seen]
            steps += [each for _, each in seen]
    masks.sort()
    return [
        f"{name}, {len(tokens)} tokens",
        f"{first.cpu * 1e3:.1f}",
        f"{statistics.median(again) * 1e3:.2f}",
        f"{statistics.median(masks) * 1e6:.1f}",
        f"{masks[len(masks) * 99 // 100] * 1e6:.1f}",
        f"{masks[-1] * 1e6:.1f}",
        f"{statistics.median(steps) * 1e6:.1f}",
    ]


def clocked(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def resident() -> float:
    """Megabytes of this process in memory; where the system does not say, 0."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 / 1e6 if status.exists() else 0.0


def build() -> dict[str, float]:
    """What the vocabulary costs, in a process that has not built it yet."""
    Tokenizer.o200k_harmony()
    before = resident()
    seconds, _ = timed(vocabulary)
    return {"seconds": seconds.cpu, "megabytes": resident() - before}


if __name__ == "__main__":
    print(json.dumps(build()))
    sys.exit(0)
