"""How a conversation of the command line begins, and how it is rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.chat import Message, ToolDescription
    from harmony_py.format.config import RenderConfig

EFFORTS: Final = ("low", "medium", "high")


def opening(
    effort: str, instructions: str | None, tools: Sequence[ToolDescription], date: str | None = None
) -> list[Message]:
    """The messages that a conversation begins with."""
    from harmony_py.chat import DeveloperContent, Message, Role, SystemContent

    system = SystemContent.new().with_reasoning_effort(effort)
    if date:
        system = system.with_conversation_start_date(date)
    messages = [Message.from_role_and_content(Role.SYSTEM, system)]
    developer = DeveloperContent.new()
    if instructions:
        developer = developer.with_instructions(instructions)
    if tools:
        developer = developer.with_function_tools(tools)
    if instructions or tools:
        messages.append(Message.from_role_and_content(Role.DEVELOPER, developer))
    return messages


def as_models_write() -> RenderConfig:
    """How conversations are rendered here: headers as the models write them, and odd names, which a model may
    have written, escaped: they do not bring the conversation to a halt."""
    from harmony_py.format.config import RenderConfig

    return RenderConfig(header_style="channel_first", on_invalid="escape")
