"""The inspector's first example is what the toy writes."""

from __future__ import annotations

import json

from harmony_py.engines.chat import Chat
from harmony_py.engines.torch import TorchEngine
from harmony_py.inspector.examples import conversations
from harmony_py.inspector.source import read_messages
from harmony_py.model import Sampling, load, toy


def test_the_toy_writes_its_example() -> None:
    wanted = read_messages(next(conversations()).source.text).messages
    question = 2
    tools = {"get_weather": lambda city: {"degrees": 21, "sky": "sunny"}}
    chat = Chat(TorchEngine(load(toy())), wanted[:question], tools, sampling=Sampling(temperature=0))
    list(chat.send(wanted[question].text))
    assert json.dumps([m.to_dict() for m in chat.messages]) == json.dumps([m.to_dict() for m in wanted])
