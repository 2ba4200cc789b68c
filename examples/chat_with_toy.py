"""The toy model holds a conversation, tool calls included: `python examples/chat_with_toy.py [QUESTION ...]`.

Everything between the question and the answer is genuine: rendered, decoded by the bundled loop, parsed as it
streams, the tool called, its result read back. Only the model is tiny; docs/toy.md says what it knows.
Channels have colours on a terminal. `--effort low|medium|high` says how long it thinks, `-i` asks you.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import TYPE_CHECKING, Any

from harmony_py import DeveloperContent, Message, Role, SystemContent, ToolDescription
from harmony_py.engines.chat import Chat, Completed, ToolAnswered
from harmony_py.engines.torch import TorchEngine
from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.model import Sampling, load, toy

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTIONS = ["Hello!", "What is the weather in Tokyo?", "And in San Francisco?", "What is 3 + 4?"]

GET_WEATHER = ToolDescription.new(
    "get_weather",
    "Tells the weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)

COLOURS = {
    "user": "\x1b[1m",
    "analysis": "\x1b[2;3m",
    "call": "\x1b[36m",
    "tool": "\x1b[33m",
    "final": "\x1b[32m",
    "": "\x1b[2m",
}
RESET = "\x1b[0m"


def get_weather(city: str) -> dict[str, object]:
    """The weather in a place, as good as any for a toy: the same one each time you ask."""
    chance = random.Random(city.strip())
    return {"degrees": chance.randint(-5, 35), "sky": chance.choice(["sunny", "cloudy", "rainy", "windy"])}


def opening(effort: str) -> list[Message]:
    return [
        Message.from_role_and_content(Role.SYSTEM, SystemContent.new().with_reasoning_effort(effort)),
        Message.from_role_and_content(
            Role.DEVELOPER, DeveloperContent.new().with_function_tools([GET_WEATHER])
        ),
    ]


class Show:
    """Prints events as they come: who speaks in a column of its own, in colour where `colours`."""

    def __init__(self, engine: TorchEngine, colours: bool) -> None:
        self._engine, self._colours = engine, colours

    def begin(self, label: str) -> None:
        print(f"{COLOURS[label] if self._colours else ''}{label:9} ", end="")

    def end(self) -> None:
        print(RESET if self._colours else "", flush=True)

    def line(self, label: str, text: str) -> None:
        self.begin(label)
        print(text, end="")
        self.end()

    def event(self, event: Any) -> None:
        if isinstance(event, MessageStart):
            self.begin("call" if event.header.recipient else event.header.channel or "final")
            if event.header.recipient:
                print(f"{event.header.recipient} ", end="")
        elif isinstance(event, ContentDelta):
            print(event.text, end="", flush=True)
        elif isinstance(event, MessageEnd):
            self.end()
        elif isinstance(event, ToolAnswered):
            self.line("tool", event.text)
        elif isinstance(event, Completed):
            self.line("", self.figures(event))

    def figures(self, event: Completed) -> str:
        statistics = self._engine.statistics
        assert statistics is not None
        rate = f", {statistics.decode_rate:.0f} a second" if statistics.decode_rate else ""
        return (
            f"{event.prompt} tokens of prompt, {statistics.reused_tokens} of them reused; "
            f"{event.sampled} sampled{rate}"
        )


def asked() -> Iterator[str]:
    """What is typed, until there is nothing."""
    while line := input("\nYou: ").strip():
        yield line


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", nargs="*", default=QUESTIONS, metavar="QUESTION")
    parser.add_argument("--effort", choices=["low", "medium", "high"], default="medium")
    parser.add_argument("-i", "--interactive", action="store_true", help="ask me")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    engine = TorchEngine(load(toy()))
    print(f"The toy was ready after {time.perf_counter() - began:.1f} seconds.")
    chat = Chat(
        engine, opening(options.effort), {"get_weather": get_weather}, sampling=Sampling(temperature=0)
    )
    show = Show(engine, sys.stdout.isatty())
    for question in asked() if options.interactive else options.questions:
        print()
        show.line("user", question)
        for event in chat.send(question):
            show.event(event)


if __name__ == "__main__":
    main()
