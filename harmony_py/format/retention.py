"""What happens to old thoughts: policies for the analysis messages of a conversation.

A policy takes the messages and returns the indices of those to leave out. The built-in ones, by name:

- `"previous_turns"`: the thoughts of a turn go once it has ended in a final answer and the user has spoken
  again. A prompt changes behind its end only then, so that caches of prefixes stay good within a turn.
- `"tool_cycle"`: thoughts go as soon as a later final answer exists, as the chat template of the released
  checkpoints has it; the last answer keeps those just before it.
- `"upstream"`: what `openai-harmony` 0.0.8 does. Everything on the analysis channel before the first final
  answer goes, tool calls and results too, if the last assistant message is a final answer.
- `"never"`: nothing goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from harmony_py.chat import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from harmony_py.chat import Message

PolicyName = Literal["upstream", "previous_turns", "tool_cycle", "never"]
AnalysisPolicy: TypeAlias = "PolicyName | Callable[[Sequence[Message]], Collection[int]]"

ANALYSIS: Final = "analysis"
FINAL: Final = "final"

# A member of an enum costs a look-up at every turn of a loop.
_USER: Final = Role.USER
_ASSISTANT: Final = Role.ASSISTANT


def dropped(messages: Sequence[Message], policy: AnalysisPolicy) -> Collection[int]:
    """The indices of the messages that `policy` leaves out."""
    if callable(policy):
        return policy(messages)
    return _POLICIES[policy](messages)


def _upstream(messages: Sequence[Message]) -> Collection[int]:
    last = next((m for m in reversed(messages) if m.author.role == Role.ASSISTANT), None)
    if last is None or last.channel != FINAL:
        return ()
    first_final = next(i for i, message in enumerate(messages) if message.channel == FINAL)
    return {i for i in range(first_final) if messages[i].channel == ANALYSIS}


def _previous_turns(messages: Sequence[Message]) -> Collection[int]:
    gone: list[int] = []
    thoughts: list[int] = []
    answered = False
    for index, message in enumerate(messages):
        role = message.author.role
        if role == _USER:
            gone += thoughts if answered else []
            thoughts = []
            answered = False
        elif role == _ASSISTANT:
            if message.channel == FINAL:
                answered = True
            elif message.channel == ANALYSIS and not message.is_tool_call:
                thoughts.append(index)
    return gone


def _tool_cycle(messages: Sequence[Message]) -> Collection[int]:
    end = next((i for i in range(len(messages) - 1, -1, -1) if _is_answer(messages[i])), 0)
    if end == len(messages) - 1:
        while end > 0 and _is_thought(messages[end - 1]):
            end -= 1
    return {index for index in range(end) if _is_thought(messages[index])}


def _never(messages: Sequence[Message]) -> Collection[int]:
    return ()


_POLICIES: Final[dict[str, Callable[[Sequence[Message]], Collection[int]]]] = {
    "upstream": _upstream,
    "previous_turns": _previous_turns,
    "tool_cycle": _tool_cycle,
    "never": _never,
}


def _is_thought(message: Message) -> bool:
    """Whether the assistant thinks aloud here. What calls a tool, or comes from one, is no thought."""
    return message.channel == ANALYSIS and message.author.role == _ASSISTANT and not message.is_tool_call


def _is_answer(message: Message) -> bool:
    return message.channel == FINAL and message.author.role == _ASSISTANT
