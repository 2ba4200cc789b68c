"""Conversations and options, written as a chat completion request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmony_py.chat import DeveloperContent, Role, SystemContent, TextContent
from harmony_py.wire.fields import present, unsupported
from harmony_py.wire.history import OpenCalls
from harmony_py.wire.opening import effort_of, format_of
from harmony_py.wire.tools import BROWSER, NO_TOOLS, Function, ToolNames
from harmony_py.wire.turn import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harmony_py.chat import Conversation, Message
    from harmony_py.wire.options import Format, Options
    from harmony_py.wire.tools import ToolChoice


def write_request(
    conversation: Conversation | Iterable[Message],
    options: Options,
    *,
    reasoning_fields: tuple[str, ...] = ("reasoning",),
) -> dict[str, Any]:
    """The request that says the same. `read_request` undoes this, but for what the API cannot say, which
    `docs/wire.md` lists."""
    settings = _Settings()
    turns = _Turns(ToolNames(frozenset(f.name for f in options.functions)), reasoning_fields)
    for index, message in enumerate(conversation):
        if message.author.role in (Role.SYSTEM, Role.DEVELOPER):
            turns.add_settings(message, settings)
        else:
            turns.add(message, f"messages[{index}]")
    functions = options.functions or tuple(settings.functions)
    tools = [{"type": "function", "function": present(function._asdict())} for function in functions]
    said = {"reasoning_effort": settings.effort, "response_format": settings.format}
    return {
        "model": options.model,
        "messages": turns.written,
        **present(said),
        **({"tools": tools} if tools else {}),
        **({"web_search_options": {}} if settings.browser else {}),
        **_sampling(options),
    }


class _Settings:
    """What system and developer messages say that the API has fields for."""

    def __init__(self) -> None:
        self.effort: str | None = None
        self.format: dict[str, Any] | None = None
        self.functions: list[Function] = []
        self.browser = False

    def take_system(self, content: SystemContent) -> None:
        self.effort = effort_of(content)
        for name in content.tools or ():
            if name != BROWSER:
                raise unsupported("tools", f"this API has no way to ask for the built-in tool '{name}'")
            self.browser = True

    def take_developer(self, content: DeveloperContent) -> None:
        wanted = format_of(content)
        if wanted is not None:
            self.format = {"type": "json_schema", "json_schema": wanted}
        for namespace in (content.tools or {}).values():
            for tool in namespace.tools:
                self.functions.append(Function(tool.name, tool.description, tool.parameters))


class _Turns:
    """The array of messages. What the assistant said in one go becomes one message where the API can say it:
    thoughts, then words, then calls."""

    def __init__(self, names: ToolNames, reasoning_fields: tuple[str, ...]) -> None:
        self._names = names
        self._reasoning_fields = reasoning_fields
        self._calls = OpenCalls()
        self._open: dict[str, Any] | None = None
        self.written: list[dict[str, Any]] = []

    def add_settings(self, message: Message, settings: _Settings) -> None:
        self._open = None
        for part in message.content:
            if isinstance(part, SystemContent):
                settings.take_system(part)
            elif isinstance(part, DeveloperContent):
                settings.take_developer(part)
                if part.instructions is not None:
                    self.written.append({"role": "developer", "content": part.instructions})
            elif isinstance(part, TextContent):
                self.written.append({"role": message.author.role.value, "content": part.text})

    def add(self, message: Message, path: str) -> None:
        role = message.author.role
        if role == Role.ASSISTANT:
            self._assistant(message)
            return
        self._open = None
        if role == Role.TOOL:
            call_id = self._calls.answered(message.author.name, path)
            self.written.append({"role": "tool", "tool_call_id": call_id, "content": message.text})
        else:
            named = {} if message.author.name is None else {"name": message.author.name}
            self.written.append({"role": "user", "content": message.text, **named})

    def _assistant(self, message: Message) -> None:
        kind = kind_of(message, NO_TOOLS)
        if kind is Kind.REASONING:
            self._open = None
            self._turn().update(dict.fromkeys(self._reasoning_fields, message.text))
        elif kind is Kind.CALL:
            turn = self._turn()
            call_id = self._calls.made(message.recipient or "")
            function = {"name": self._names.to_client(message.recipient or ""), "arguments": message.text}
            turn.setdefault("tool_calls", []).append(
                {"id": call_id, "type": "function", "function": function}
            )
        else:
            if self._open and (self._open["content"] is not None or "tool_calls" in self._open):
                self._open = None
            self._turn()["content"] = message.text
            if kind is Kind.ANSWER:
                self._open = None

    def _turn(self) -> dict[str, Any]:
        if self._open is None:
            self._open = {"role": "assistant", "content": None}
            self.written.append(self._open)
        return self._open


def _sampling(options: Options) -> dict[str, Any]:
    bias = options.logit_bias
    found = {
        "reasoning_effort": options.effort,
        "max_completion_tokens": options.max_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "frequency_penalty": options.frequency_penalty,
        "presence_penalty": options.presence_penalty,
        "logit_bias": None if bias is None else {str(token): value for token, value in bias.items()},
        "seed": options.seed,
        "stop": list(options.stop) or None,
        "n": options.n if options.n != 1 else None,
        "logprobs": options.logprobs or None,
        "top_logprobs": options.top_logprobs,
        "stream": options.stream or None,
        "stream_options": {"include_usage": True} if options.include_usage else None,
        "tool_choice": _choice(options.tool_choice),
        "parallel_tool_calls": None if options.parallel_tool_calls else False,
        "response_format": None if options.format is None else _format(options.format),
        **options.other,
    }
    return present(found)


def _format(wanted: Format) -> dict[str, Any]:
    told = wanted.to_dict()
    kind = told.pop("type")
    return {"type": kind, **({kind: told} if told else {})}


def _choice(choice: ToolChoice) -> str | dict[str, Any] | None:
    names = [_reference(name) for name in choice.names]
    if not names:
        return None if choice.mode == "auto" else choice.mode
    if choice.mode == "required" and len(names) == 1:
        return names[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": names}}


def _reference(full_name: str) -> dict[str, Any]:
    namespace, _, name = full_name.partition(".")
    if not name:
        raise unsupported("tool_choice", f"this API has no way to name the built-in tool '{namespace}'")
    return {"type": "function", "function": {"name": name}}
