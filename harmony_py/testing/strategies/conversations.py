"""Conversations that an app could hold: turns of thoughts, calls with their results, and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harmony_py.testing.strategies.flat import flat_messages
from harmony_py.testing.strategies.text import prose
from harmony_py.testing.strategies.tools import arguments, tools

if TYPE_CHECKING:
    from harmony_py.chat import Conversation, Message
    from harmony_py.testing.implementation import FlatMessage

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | prose


def _said(role: str, text: str, **fields: str) -> FlatMessage:
    return {"role": role, "content": [{"type": "text", "text": text}], **fields}


@st.composite
def _openings(draw: st.DrawFn, declared: list[dict[str, Any]]) -> list[FlatMessage]:
    """The system's and the developer's messages."""
    opening: list[FlatMessage] = []
    if draw(st.booleans()):
        effort = draw(st.sampled_from(["Low", "Medium", "High"]))
        content: dict[str, Any] = {"type": "system_content", "reasoning_effort": effort}
        opening.append({"role": "system", "content": [content]})
    if bool(declared) or draw(st.booleans()):
        functions = {"name": "functions", "tools": declared}
        content = {"type": "developer_content", "instructions": draw(_TEXTS)}
        content |= {"tools": {"functions": functions}} if declared else {}
        opening.append({"role": "developer", "content": [content]})
    return opening


@st.composite
def _steps(draw: st.DrawFn, declared: list[dict[str, Any]]) -> list[FlatMessage]:
    """A thought, words before a call, or a call and its result."""
    kind = draw(st.sampled_from(["thought", "preamble", "python", "call", "call"]))
    if kind == "thought":
        return [_said("assistant", draw(_TEXTS), channel="analysis")]
    if kind == "preamble":
        return [_said("assistant", draw(_TEXTS), channel="commentary")]
    if kind == "python" or not declared:
        call = _said("assistant", draw(_TEXTS), channel="analysis", recipient="python", content_type="code")
        result = _said("tool", draw(_TEXTS), name="python", channel="analysis", recipient="assistant")
        return [call, result]
    tool = draw(st.sampled_from(declared))
    name = f"functions.{tool['name']}"
    passed = draw(arguments(tool))
    call = _said("assistant", passed, channel="commentary", recipient=name, content_type="<|constrain|>json")
    return [call, _said("tool", draw(_TEXTS), name=name, channel="commentary", recipient="assistant")]


@st.composite
def _turns(draw: st.DrawFn, declared: list[dict[str, Any]]) -> list[FlatMessage]:
    """A question, what the assistant does about it, and the answer: the last two now and then not yet."""
    steps = draw(st.lists(_steps(declared), max_size=3))
    answer = [_said("assistant", draw(_TEXTS), channel="final")] if draw(st.booleans()) else []
    return [_said("user", draw(_TEXTS)), *(message for step in steps for message in step), *answer]


@st.composite
def dialogues(draw: st.DrawFn, *, settings: bool = True) -> list[FlatMessage]:
    """A conversation in the flat form; without `settings` it is all text, and begins with the user."""
    declared = draw(st.lists(tools(), max_size=2, unique_by=lambda tool: tool["name"]))
    opening = draw(_openings(declared)) if settings else []
    turns = draw(st.lists(_turns(declared), min_size=1, max_size=3))
    return [*opening, *(message for turn in turns for message in turn)]


def conversations() -> st.SearchStrategy[Conversation]:
    """`Conversation`s that an app could hold."""
    from harmony_py.chat import Conversation, Message

    return dialogues().map(
        lambda flat: Conversation(messages=[Message.from_dict(message) for message in flat])
    )


def messages() -> st.SearchStrategy[Message]:
    """`Message`s of any role, every field set now and then."""
    from harmony_py.chat import Message

    return flat_messages().map(Message.from_dict)
