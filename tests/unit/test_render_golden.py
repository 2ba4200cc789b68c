"""The golden conversations of `fixtures/golden`, whose ids come from `openai-harmony`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from harmony_py.chat import Message
from harmony_py.format.config import UPSTREAM, RenderConfig
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.testing.tokens import ids

ENCODING = load_harmony_encoding()
GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden"


def cases(name: str) -> list[Any]:
    found = json.loads((GOLDEN / name).read_text("utf-8"))
    return [pytest.param(case, id=case["what"]) for case in found]


@pytest.mark.parametrize("case", cases("conversations.json"))
def test_conversations(case: dict[str, Any]) -> None:
    messages = list(map(Message.from_dict, case["messages"]))
    assert ENCODING.render_conversation(messages, UPSTREAM) == case["conversation"]
    assert ENCODING.render_conversation_for_completion(messages, config=UPSTREAM) == case["completion"]
    assert ENCODING.render_conversation_for_training(messages, UPSTREAM) == case["training"]


@pytest.mark.parametrize("case", cases("conversations.json"))
def test_messages_are_the_same_in_our_own_style(case: dict[str, Any]) -> None:
    for message in map(Message.from_dict, case["messages"]):
        # To everyone, upstream writes a call; and schemas say more in our style.
        if message.recipient != "all" and message.author.role.value != "developer":
            assert ENCODING.render(message) == ENCODING.render(message, config=UPSTREAM)


@pytest.mark.parametrize("case", cases("long.json"))
def test_long_messages(case: dict[str, Any]) -> None:
    tokens = ENCODING.render(Message.from_dict(case["message"]), config=UPSTREAM)
    assert len(tokens) == case["length"]
    assert hashlib.sha256(ENCODING.decode(tokens).encode()).hexdigest() == case["sha256"]


def test_the_models_own_order_of_a_header() -> None:
    call = {"role": "assistant", "recipient": "functions.f", "channel": "commentary", "content": "{}"}
    message = Message.from_dict({**call, "content_type": "<|constrain|>json"})
    tokens = ENCODING.render(message, config=RenderConfig(header_style="channel_first"))
    as_models_write_it = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
    assert tokens == ids("<|start|>assistant" + as_models_write_it)
