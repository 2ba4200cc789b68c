"""A conversation with a model and a tool, as it streams: `python examples/chat_with_toy.py [QUESTION ...]`.

The model is the toy that the package carries; `load` opens any checkpoint of gpt-oss. Needs the
extra `model`. `harmony-py demo` and `harmony-py chat` do the same with more to see.
"""

from __future__ import annotations

import sys

from harmony_py import DeveloperContent, Message, Role, SystemContent, ToolDescription
from harmony_py.engines.chat import Chat, ToolAnswered
from harmony_py.engines.torch import TorchEngine
from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.model import Sampling, load, toy

WEATHER = ToolDescription.new(
    "get_weather",
    "Tells the weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
OPENING = [
    Message.from_role_and_content(Role.SYSTEM, SystemContent.new().with_reasoning_effort("medium")),
    Message.from_role_and_content(Role.DEVELOPER, DeveloperContent.new().with_function_tools([WEATHER])),
]


def get_weather(city: str) -> dict[str, object]:
    return {"degrees": len(city), "sky": "sunny"}


def main(questions: list[str]) -> None:
    engine = TorchEngine(load(toy()))
    chat = Chat(engine, OPENING, {"get_weather": get_weather}, sampling=Sampling(temperature=0))
    for question in questions or ["What is the weather in Tokyo?", "What is 3 + 4?"]:
        print(f"\nuser: {question}")
        for event in chat.send(question):
            if isinstance(event, MessageStart):
                print(event.header.recipient or event.header.channel, end=": ")
            elif isinstance(event, ContentDelta):
                print(event.text, end="", flush=True)
            elif isinstance(event, MessageEnd):
                print()
            elif isinstance(event, ToolAnswered):
                print(f"{event.name} says: {event.text}")


if __name__ == "__main__":
    main(sys.argv[1:])
