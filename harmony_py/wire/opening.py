"""The messages that a conversation begins with: what the system is told, and what the developer says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat import Conversation, DeveloperContent, Message, ReasoningEffort, Role, SystemContent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harmony_py.chat import ToolNamespaceConfig
    from harmony_py.wire.options import Format
    from harmony_py.wire.tools import Function

_EFFORTS: Final = {
    "none": ReasoningEffort.LOW,
    "minimal": ReasoningEffort.LOW,
    "low": ReasoningEffort.LOW,
    "medium": ReasoningEffort.MEDIUM,
    "high": ReasoningEffort.HIGH,
    "xhigh": ReasoningEffort.HIGH,
    "max": ReasoningEffort.HIGH,
}
"""The API knows more efforts than the models do: the nearest counts."""

EFFORTS: Final = tuple(_EFFORTS)


def system_message(
    template: SystemContent | None, effort: str | None, namespaces: Iterable[ToolNamespaceConfig]
) -> Message:
    """The system message: the server's own, with what the request says of effort and built-in tools.

    The date is the server's to give, in `template`: no date is put in on the quiet.
    """
    content = (template or SystemContent()).model_copy()
    content.tools = dict(content.tools or {})
    for namespace in namespaces:
        content.with_tools(namespace)
    content.tools = content.tools or None
    if effort is not None:
        content.reasoning_effort = _EFFORTS[effort]
    return Message.from_role_and_content(Role.SYSTEM, content)


def opened(
    system: Message,
    instructions: str | None,
    functions: Sequence[Function],
    wanted: Format | None,
    turns: Sequence[Message],
) -> Conversation:
    """The whole conversation. What the developer says before anything else is one message, which declares the
    tools too: so the models were trained."""
    leading = list(itertools.takewhile(_is_instruction, turns))
    texts = [part.instructions for message in leading for part in message.content]  # type: ignore[union-attr]
    developer = _developer_message([instructions, *texts], functions, wanted)
    return Conversation(messages=[system, *developer, *turns[len(leading) :]])


def _is_instruction(message: Message) -> bool:
    return message.author.role == Role.DEVELOPER


def _developer_message(
    instructions: Sequence[str | None], functions: Sequence[Function], wanted: Format | None
) -> list[Message]:
    """The developer's message, if there is anything to say."""
    content = DeveloperContent()
    said = [text for text in instructions if text is not None]
    if said:
        content.instructions = "\n\n".join(said)
    if functions:
        content.with_function_tools([function.described() for function in functions])
    if wanted is not None and wanted.schema is not None:
        content.with_response_format(wanted.name or "answer", wanted.schema, wanted.description)
    return [] if content == DeveloperContent() else [Message.from_role_and_content(Role.DEVELOPER, content)]


def instruction(text: str) -> Message:
    """What the developer says."""
    return Message.from_role_and_content(Role.DEVELOPER, DeveloperContent(instructions=text))


# -- and back ----------------------------------------------------------------------------------------------


def effort_of(content: SystemContent) -> str | None:
    effort = content.reasoning_effort
    return None if effort is None else ReasoningEffort(effort).value.lower()


def format_of(content: DeveloperContent) -> dict[str, Any] | None:
    """The schema that the developer asked answers to follow, with its name; the first of several."""
    for wanted in content.response_formats or ():
        described = {} if wanted.description is None else {"description": wanted.description}
        return {"name": wanted.name, **described, "schema": wanted.json_schema}
    return None
