"""The cache of rendered messages: bounded, and never stale."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import Message, Role, SystemContent
from harmony_py.format.cache import Cache, Entry
from harmony_py.format.config import UPSTREAM, RenderConfig
from harmony_py.format.encoding import HarmonyEncoding
from harmony_py.testing.strategies import flat_conversations

KEEP = RenderConfig(analysis="never")


def fresh(messages: list[Message], config: RenderConfig = KEEP) -> list[int]:
    """The slow twin: an encoding that has seen nothing."""
    return HarmonyEncoding(cache_tokens=0).render_conversation(messages, config)


@given(st.lists(flat_conversations, max_size=4), st.sampled_from([0, 50, 1000, 10**6]))
def test_a_cache_changes_nothing(conversations: list[list[dict[str, Any]]], cache_tokens: int) -> None:
    encoding = HarmonyEncoding(cache_tokens=cache_tokens)
    for flat in conversations * 2:
        for config in (KEEP, UPSTREAM):
            messages = list(map(Message.from_dict, flat))
            assert encoding.render_conversation(messages, config) == fresh(messages, config)


def system(**fields: Any) -> Message:
    return Message.from_role_and_content(Role.SYSTEM, SystemContent(**fields))


def developer(default: Any = 1) -> Message:
    properties = {"a": {"type": "number", "default": default}, "b": {"type": "string"}}
    tool = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": properties}}
    content = {
        "type": "developer_content",
        "instructions": "x",
        "tools": {"functions": {"name": "functions", "description": "n", "tools": [tool]}},
        "response_formats": [{"name": "r", "json_schema": {"k": 1}}],
    }
    return Message.from_dict({"role": "developer", "content": [content]})


def tool_of(message: Message) -> Any:
    return message.content[0].tools["functions"].tools[0]  # type: ignore[union-attr]


def reorder(message: Message) -> None:
    properties = tool_of(message).parameters["properties"]
    properties["a"] = properties.pop("a")


CHANGES = {
    "text": lambda m: setattr(m[0].content[0], "text", "changed"),
    "part": lambda m: m[0].adding_content("more"),
    "name": lambda m: setattr(m[0].author, "name", "bob"),
    "role": lambda m: setattr(m[0].author, "role", Role.ASSISTANT),
    "channel": lambda m: m[0].with_channel("final"),
    "effort": lambda m: m[1].content[0].with_reasoning_effort("high"),
    "channels": lambda m: m[1].content[0].channel_config.valid_channels.append("extra"),
    "required": lambda m: setattr(m[1].content[0].channel_config, "channel_required", False),
    "date": lambda m: m[1].content[0].with_conversation_start_date("2025-01-01"),
    "browser": lambda m: m[1].content[0].with_browser_tool(),
    "instructions": lambda m: m[2].content[0].with_instructions("y"),
    "tool": lambda m: setattr(tool_of(m[2]), "name", "g"),
    "tool description": lambda m: setattr(tool_of(m[2]), "description", "other"),
    "no parameters": lambda m: setattr(tool_of(m[2]), "parameters", None),
    "namespace": lambda m: setattr(m[2].content[0].tools["functions"], "description", "other"),
    "no tools": lambda m: m[2].content[0].tools["functions"].tools.clear(),
    "format": lambda m: m[2].content[0].response_formats[0].json_schema.update(k=2),
    "1 to True": lambda m: tool_of(m[2]).parameters["properties"]["a"].update(default=True),
    "1 to 1.0": lambda m: tool_of(m[2]).parameters["properties"]["a"].update(default=1.0),
    "order of keys": lambda m: reorder(m[2]),
    "message gone": lambda m: m.pop(2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_goes_unnoticed(change: str) -> None:
    encoding = HarmonyEncoding(config=KEEP)
    messages = [Message.from_role_and_content(Role.USER, "hi"), system(), developer()]
    before = encoding.render_conversation(messages)
    assert encoding.render_conversation(messages) == before
    CHANGES[change](messages)
    after = encoding.render_conversation(messages)
    assert after != before
    assert after == fresh(messages)


def test_the_callers_list_is_the_callers() -> None:
    encoding = HarmonyEncoding(config=KEEP)
    message = Message.from_role_and_content(Role.USER, "hi")
    first = encoding.render(message)
    expected = first.copy()
    first.clear()
    assert encoding.render(message) == expected
    encoding.render_conversation([message]).append(0)
    assert encoding.render_conversation([message]) == expected


def test_a_policy_made_for_every_call_costs_no_memory() -> None:
    encoding = HarmonyEncoding()
    message = Message.from_role_and_content(Role.USER, "hi")
    configs = [RenderConfig(analysis=lambda messages: ()) for _ in range(100)]
    for config in configs:
        assert encoding.render_conversation([message], config) == encoding.render(message)
    assert len(encoding._styles) == 1
    assert len(encoding._renderers) <= 16


def entry(size: int) -> Entry:
    return Entry([0] * size, 0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), max_size=200), st.integers(0, 200))
def test_it_holds_no_more_than_it_may(steps: list[tuple[int, int]], most: int) -> None:
    cache = Cache(most)
    for name, size in steps:
        key = (name, size)
        if (found := cache.get(key)) is None:
            cache.put(key, entry(size))
        else:
            assert len(found.tokens) == size
        assert cache.held() <= most


def test_what_is_used_stays() -> None:
    cache = Cache(100)
    cache.put(("used",), entry(10))
    for index in range(100):
        cache.put((index,), entry(10))
        assert cache.get(("used",)) is not None
    assert cache.get((0,)) is None
