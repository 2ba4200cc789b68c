"""The golden vectors of `fixtures/golden/render.json`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from harmony_py.chat import Message, SystemContent, ToolNamespaceConfig
from harmony_py.format.config import UPSTREAM, RenderConfig
from harmony_py.format.encoding import load_harmony_encoding

ENCODING = load_harmony_encoding()
GOLDEN = json.loads((Path(__file__).parents[2] / "fixtures/golden/render.json").read_text())


@pytest.mark.parametrize("config", [RenderConfig(), UPSTREAM], ids=["native", "upstream"])
@pytest.mark.parametrize("vector", GOLDEN["messages"], ids=lambda vector: vector["what"])
def test_messages(vector: dict[str, Any], config: RenderConfig) -> None:
    message = Message.from_dict(vector["message"])
    assert ENCODING.render(message, config=config) == vector["tokens"]
    trained = ENCODING.render_conversation_for_training([message], config)
    assert trained == vector.get("training", vector["tokens"])


def test_the_models_own_order_of_a_header() -> None:
    vector = next(vector for vector in GOLDEN["messages"] if "channel_first" in vector)
    message = Message.from_dict(vector["message"])
    assert (
        ENCODING.render(message, config=RenderConfig(header_style="channel_first")) == vector["channel_first"]
    )


@pytest.mark.parametrize("vector", GOLDEN["texts"], ids=lambda vector: vector["what"])
def test_whole_system_messages(vector: dict[str, Any]) -> None:
    content = SystemContent.from_dict(vector["content"])
    for name in vector.get("built_in_tools", []):
        content.with_tools(getattr(ToolNamespaceConfig, name)())
    tokens = ENCODING.render(Message(author={"role": "system"}, content=[content]))
    assert len(tokens) == vector["length"]
    assert hashlib.sha256(ENCODING.decode(tokens).encode()).hexdigest() == vector["sha256"]


def test_an_empty_conversation() -> None:
    assert ENCODING.render_conversation([]) == []
    assert ENCODING.render_conversation_for_training([]) == []
    assert ENCODING.render_conversation_for_completion([]) == [200006, 173781]
