"""Policies for old thoughts: which messages go, and when a prompt stays the beginning of the next."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from harmony_py.chat import Message, Role
from harmony_py.errors import HarmonyError
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.retention import dropped
from harmony_py.testing.strategies import flat_conversations

ENCODING = load_harmony_encoding()


def conversation(kinds: str) -> list[Message]:
    """Messages by their initials: u(ser), t(hought), c(all), r(esult), p(reamble), f(inal)."""
    made = {
        "u": {"role": "user"},
        "t": {"role": "assistant", "channel": "analysis"},
        "c": {"role": "assistant", "channel": "analysis", "recipient": "python"},
        "r": {"role": "tool", "name": "python", "channel": "analysis", "recipient": "assistant"},
        "p": {"role": "assistant", "channel": "commentary"},
        "f": {"role": "assistant", "channel": "final"},
    }
    return [Message.from_dict({**made[kind], "content": f"{kind}{i}"}) for i, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kinds", "policy", "gone"),
    [
        ("utf", "upstream", "t"),
        ("utcrtf", "upstream", "tcrt"),
        ("utfutf", "upstream", "t"),
        ("utfut", "upstream", ""),
        ("utf", "previous_turns", ""),
        ("utfu", "previous_turns", "t"),
        ("utcrtfu", "previous_turns", "tt"),
        ("utcrtfutc", "previous_turns", "tt"),
        ("utcru", "previous_turns", ""),
        ("utfuu", "previous_turns", "t"),
        ("utf", "tool_cycle", ""),
        ("utcrtf", "tool_cycle", "t"),
        ("utfu", "tool_cycle", "t"),
        ("utfutcr", "tool_cycle", "t"),
        ("utcr", "tool_cycle", ""),
        ("utfutf", "tool_cycle", "t"),
        ("utcrtfutcrtf", "never", ""),
        ("", "previous_turns", ""),
        ("", "tool_cycle", ""),
        ("", "upstream", ""),
    ],
)
def test_what_goes(kinds: str, policy: Any, gone: str) -> None:
    indices = sorted(dropped(conversation(kinds), policy))
    assert "".join(kinds[index] for index in indices) == gone
    assert indices == sorted(indices)


@given(flat_conversations)
def test_native_policies_leave_calls_results_and_answers_alone(flat: list[dict[str, Any]]) -> None:
    messages = list(map(Message.from_dict, flat))
    for policy in ("previous_turns", "tool_cycle"):
        for index in dropped(messages, policy):
            message = messages[index]
            assert (message.author.role, message.channel) == (Role.ASSISTANT, "analysis")
            assert not message.is_tool_call


def test_within_a_turn_a_prompt_is_the_beginning_of_the_next() -> None:
    messages = conversation("utcrtfutcrtpf")
    for end in range(1, len(messages)):
        before = ENCODING.render_conversation(messages[:end])
        after = ENCODING.render_conversation(messages[: end + 1])
        assert (after[: len(before)] == before) == (messages[end].author.role != "user" or end == 0)


def test_a_policy_of_ones_own() -> None:
    config = RenderConfig(analysis=lambda messages: [0, len(messages) - 1])
    messages = conversation("utf")
    assert ENCODING.render_conversation(messages, config) == ENCODING.render(messages[1])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (
            {"analysis": "sometimes"},
            "analysis is one of upstream, previous_turns, tool_cycle, never or a function",
        ),
        ({"analysis": 3}, "analysis is one of .*, not 3"),
        (
            {"header_style": "channel-first"},
            "header_style is one of role_first, channel_first, not 'channel-first'",
        ),
        ({"schema_style": "openai"}, "schema_style is one of upstream, extended, not 'openai'"),
        ({"on_invalid": "ignore"}, "on_invalid is one of raise, escape, not 'ignore'"),
    ],
)
def test_an_unknown_choice_is_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(HarmonyError, match=reason):
        RenderConfig(**wrong)


def test_a_configuration_of_another_kind_is_refused() -> None:
    for wrong in ({}, {"analysis": "never"}, "never"):
        with pytest.raises(TypeError, match="config: expected a RenderConfig, found "):
            ENCODING.render_conversation([], wrong)  # type: ignore[arg-type]


def test_tools_of_a_dropped_message_still_count() -> None:
    system = Message.from_dict({"role": "system", "content": [{"type": "system_content"}]})
    tools = {"functions": {"name": "functions", "tools": [{"name": "f", "description": ""}]}}
    content = [{"type": "developer_content", "tools": tools}]
    developer = Message.from_dict({"role": "developer", "channel": "analysis", "content": content})
    config = RenderConfig(analysis=lambda messages: [1])
    text = ENCODING.decode(ENCODING.render_conversation([system, developer], config))
    assert text.endswith("commentary channel: 'functions'.<|end|>")
