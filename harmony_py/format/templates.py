"""The text of system and developer messages: the sections and their order, as the models were trained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harmony_py.chat.content import FUNCTIONS, DeveloperContent, ReasoningEffort
from harmony_py.chat.typescript import declaration
from harmony_py.chat.typescript.text import comment, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harmony_py.chat import Message, ResponseFormat, SystemContent, ToolNamespaceConfig
    from harmony_py.chat.typescript import SchemaStyle

_LINE_END = re.compile(r"\r?\n")


def system_text(content: SystemContent, style: SchemaStyle, has_function_tools: bool) -> str:
    """The body of a system message. It names the commentary channel if the developer defines functions."""
    opening = []
    if content.model_identity is not None:
        opening.append(content.model_identity)
    if content.knowledge_cutoff is not None:
        opening.append("Knowledge cutoff: " + content.knowledge_cutoff)
    if content.conversation_start_date is not None:
        opening.append("Current date: " + content.conversation_start_date)
    sections = ["\n".join(opening)] if opening else []
    if content.reasoning_effort is not None:
        sections.append("Reasoning: " + ReasoningEffort(content.reasoning_effort).value.lower())
    sections += _tools(content.tools, style)
    if content.channel_config is not None and content.channel_config.valid_channels:
        channels = "# Valid channels: " + ", ".join(content.channel_config.valid_channels) + "."
        if content.channel_config.channel_required:
            channels += " Channel must be included for every message."
        if has_function_tools:
            channels += f"\nCalls to these tools must go to the commentary channel: '{FUNCTIONS}'."
        sections.append(channels)
    return "\n\n".join(sections)


def developer_text(content: DeveloperContent, style: SchemaStyle) -> str:
    """The body of a developer message."""
    sections = []
    if content.instructions is not None:
        sections += ["# Instructions", content.instructions]
    sections += _tools(content.tools, style)
    if content.response_formats:
        sections += ["# Response Formats", *map(_response_format, content.response_formats)]
    return "\n\n".join(sections)


def defines_functions(message: Message) -> bool:
    """Whether a system message must say where calls to this message's functions go."""
    for part in message.content if isinstance(message.content, list) else ():
        namespace = part.tools and part.tools.get(FUNCTIONS) if isinstance(part, DeveloperContent) else None
        if namespace and namespace.tools:
            return True
    return False


def _tools(namespaces: Mapping[str, ToolNamespaceConfig] | None, style: SchemaStyle) -> list[str]:
    if not namespaces:
        return []
    return ["# Tools", *(_namespace(namespaces[key], style) for key in sorted(namespaces))]


def _namespace(namespace: ToolNamespaceConfig, style: SchemaStyle) -> str:
    lines = [f"## {namespace.name}\n"]
    if namespace.tools:
        lines += [comment(namespace.description)] if namespace.description else []
        lines.append(f"namespace {namespace.name} {{\n")
        lines += [declaration(tool, style) + "\n" for tool in namespace.tools]
        lines.append(f"}} // namespace {namespace.name}")
    elif namespace.description:
        lines += _LINE_END.split(namespace.description.removesuffix("\n").removesuffix("\r"))
    return "\n".join(lines)


def _response_format(wanted: ResponseFormat) -> str:
    notes = [comment(wanted.description)] if wanted.description else []
    return f"## {wanted.name}\n\n" + "\n".join([*notes, literal(wanted.json_schema)])
