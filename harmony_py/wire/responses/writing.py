"""Conversations and options, written as a Responses request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmony_py.chat import DeveloperContent, Role, SystemContent, TextContent
from harmony_py.wire.fields import present
from harmony_py.wire.history import OpenCalls
from harmony_py.wire.opening import effort_of, format_of
from harmony_py.wire.responses.echo import choice
from harmony_py.wire.tools import BROWSER, NO_TOOLS, PYTHON, Function, ToolNames
from harmony_py.wire.turn import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harmony_py.chat import Conversation, Message
    from harmony_py.wire.options import Options


def write_request(conversation: Conversation | Iterable[Message], options: Options) -> dict[str, Any]:
    """The request that says the same. `read_request` undoes this, but for what the API cannot say, which
    `docs/wire.md` lists."""
    writer = _Writer(ToolNames(frozenset(function.name for function in options.functions)))
    for index, message in enumerate(conversation):
        writer.add(message, f"messages[{index}]")
    functions = options.functions or tuple(writer.functions)
    tools = [*(_function(function) for function in functions), *writer.tools]
    effort = options.effort or writer.effort
    wanted = options.format.to_dict() if options.format else writer.format
    found = {
        "model": options.model,
        "input": writer.items,
        "tools": tools or None,
        "reasoning": {"effort": effort} if effort else None,
        "text": {"format": wanted} if wanted else None,
        "max_output_tokens": options.max_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_logprobs": options.top_logprobs,
        "stream": options.stream or None,
        "tool_choice": choice(options.tool_choice),
        "parallel_tool_calls": None if options.parallel_tool_calls else False,
        **options.other,
    }
    return present(found)


class _Writer:
    """Items, and what system and developer messages say that the API has fields for."""

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._calls = OpenCalls()
        self.items: list[dict[str, Any]] = []
        self.tools: list[dict[str, Any]] = []
        self.functions: list[Function] = []
        self.effort: str | None = None
        self.format: dict[str, Any] | None = None

    def add(self, message: Message, path: str) -> None:
        role = message.author.role
        if role in (Role.SYSTEM, Role.DEVELOPER):
            for part in message.content:
                self._settings(part, role)
        elif role == Role.TOOL:
            call_id = self._calls.answered(message.author.name, path)
            self.items.append({"type": "function_call_output", "call_id": call_id, "output": message.text})
        elif role == Role.USER:
            self.items.append(_said("user", message.text))
        else:
            self._assistant(message)

    def _settings(self, part: Any, role: Role) -> None:
        if isinstance(part, SystemContent):
            self.effort = effort_of(part)
            self.tools += [_builtin(name) for name in part.tools or ()]
        elif isinstance(part, TextContent):
            self.items.append(_said(role.value, part.text))
        elif isinstance(part, DeveloperContent):
            self._developer(part)

    def _developer(self, part: DeveloperContent) -> None:
        wanted = format_of(part)
        if wanted is not None:
            self.format = {"type": "json_schema", **wanted}
        for namespace in (part.tools or {}).values():
            self.functions += [Function(t.name, t.description, t.parameters) for t in namespace.tools]
        if part.instructions is not None:
            self.items.append(_said("developer", part.instructions))

    def _assistant(self, message: Message) -> None:
        kind = kind_of(message, NO_TOOLS)
        if kind is Kind.REASONING:
            content = [{"type": "reasoning_text", "text": message.text}]
            place = {"id": f"rs_{len(self.items)}", "summary": []}
            self.items.append({"type": "reasoning", **place, "content": content})
        elif kind is Kind.CALL:
            recipient = message.recipient or ""
            call = {"call_id": self._calls.made(recipient), "name": self._names.to_client(recipient)}
            self.items.append({"type": "function_call", **call, "arguments": message.text})
        else:
            phase = "commentary" if kind is Kind.PREAMBLE else "final_answer"
            self.items.append({**_said("assistant", message.text), "phase": phase})


def _said(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


def _function(function: Function) -> dict[str, Any]:
    """The declaration: with parameters and strictness always, as the API wants them."""
    fields = {"type": "function", **function._asdict()}
    if function.description is None:
        del fields["description"]
    return fields


def _builtin(name: str) -> dict[str, Any]:
    if name == BROWSER:
        return {"type": "web_search"}
    if name == PYTHON:
        return {"type": "code_interpreter", "container": {"type": "auto"}}
    return {"type": "mcp", "server_label": name, "require_approval": "never"}
