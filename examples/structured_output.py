"""The toy model kept to a form: `python examples/structured_output.py [QUESTION ...]`.

Each question is asked freely, with the tool forced, with an answer in JSON, and with one that matches a
pattern. The toy was taught the first only; with a mask it does them all, and what it writes parses and fits,
whether or not it makes sense. Needs the extras `model` and `constrain`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from harmony_py import DeveloperContent, Message, Role, SystemContent, ToolDescription
from harmony_py.constrain import JsonSchema, Named, Regex, TurnSpec
from harmony_py.engines.chat import Chat
from harmony_py.engines.torch import TorchEngine
from harmony_py.model import Sampling, load, toy

QUESTIONS = ["What is 3 + 4?", "Hello!"]

WEATHER = ToolDescription.new(
    "get_weather",
    "Tells the weather in a city.",
    {
        "type": "object",
        "properties": {"city": {"enum": ["Oslo", "Tokyo", "Lima"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
SUM: dict[str, Any] = {
    "type": "object",
    "properties": {"sum": {"type": "integer", "minimum": 0, "maximum": 10}, "sure": {"type": "boolean"}},
    "required": ["sum", "sure"],
    "additionalProperties": False,
}
SPECS = {
    "freely": None,
    "tool": TurnSpec([WEATHER], tool_choice=Named("get_weather"), max_analysis_tokens=16),
    "json": TurnSpec(final=JsonSchema(SUM), max_analysis_tokens=16, preamble=False),
    "pattern": TurnSpec(final=Regex("[0-9]|10"), max_analysis_tokens=16, preamble=False),
}


def ask(engine: TorchEngine, question: str, spec: TurnSpec | None) -> list[Message]:
    opening = [
        Message.from_role_and_content(Role.SYSTEM, SystemContent.new()),
        Message.from_role_and_content(Role.DEVELOPER, DeveloperContent.new().with_function_tools([WEATHER])),
    ]
    chat = Chat(
        engine,
        opening,
        {"get_weather": lambda city: {"degrees": 21, "sky": "sunny"}},
        sampling=Sampling(temperature=0, max_tokens=200),
    )
    for _ in chat.send(question, spec=spec):
        pass
    return list(chat.messages[3:])


def main(questions: list[str]) -> None:
    engine = TorchEngine(load(toy()))
    for question in questions or QUESTIONS:
        print(question)
        for name, spec in SPECS.items():
            for message in ask(engine, question, spec):
                to = f" to {message.recipient}" if message.recipient else ""
                # The toy likes whitespace where it may stand.
                is_json = name == "json" and message.channel == "final"
                text = json.dumps(json.loads(message.text)) if is_json else message.text
                print(f"  {name:8}{message.channel}{to}: {text}")


if __name__ == "__main__":
    main(sys.argv[1:])
