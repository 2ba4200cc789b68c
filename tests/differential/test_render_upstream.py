"""Conversations to tokens, against `openai-harmony` 0.0.8: every method, both settings."""

from __future__ import annotations

import dataclasses
from typing import Any

import openai_harmony as upstream
from hypothesis import given, settings
from hypothesis import strategies as st

from harmony_py.chat import Conversation, Message, Role
from harmony_py.format.config import UPSTREAM
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.testing.strategies import flat_conversations, flat_messages

OURS = load_harmony_encoding()
THEIRS = upstream.load_harmony_encoding("HarmonyGptOss")

# More than two thousand conversations in CI's profile of three hundred examples.
many = settings(max_examples=7 * settings.default.max_examples)


@many
@given(flat_conversations, st.booleans(), st.sampled_from(list(Role)))
def test_conversations_are_token_identical(flat: list[dict[str, Any]], drops: bool, next_role: Role) -> None:
    ours = Conversation(messages=[Message.from_dict(message) for message in flat])
    theirs = upstream.Conversation(messages=[upstream.Message.from_dict(message) for message in flat])
    config = UPSTREAM if drops else dataclasses.replace(UPSTREAM, analysis="never")
    their_config = upstream.RenderConversationConfig(auto_drop_analysis=drops)
    assert OURS.render_conversation(ours, config) == THEIRS.render_conversation(theirs, their_config)
    assert OURS.render_conversation_for_training(ours, config) == THEIRS.render_conversation_for_training(
        theirs, their_config
    )
    assert OURS.render_conversation_for_completion(
        ours, next_role, config
    ) == THEIRS.render_conversation_for_completion(theirs, upstream.Role(next_role.value), their_config)


@many
@given(flat_messages(), st.booleans())
def test_messages_are_token_identical(flat: dict[str, Any], has_tools: bool) -> None:
    options = upstream.RenderOptions(conversation_has_function_tools=has_tools)
    ours = OURS.render(Message.from_dict(flat), conversation_has_function_tools=has_tools, config=UPSTREAM)
    assert ours == THEIRS.render(upstream.Message.from_dict(flat), options)
