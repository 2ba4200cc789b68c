"""`messages` of a chat completion request, read into harmony messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat import Role
from harmony_py.wire.fields import Fields, checked_word, invalid, missing, one_of, unsupported
from harmony_py.wire.history import Calls, answer, preamble, result, said, speakable, thought
from harmony_py.wire.opening import instruction
from harmony_py.wire.parts import read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.chat import Message
    from harmony_py.wire.tools import ToolNames

_ROLES: Final = ("developer", "system", "user", "assistant", "tool", "function")

REASONING_FIELDS: Final = ("reasoning", "reasoning_content")
"""The names by which servers give the thoughts; the API itself has none."""


def read_messages(items: list[tuple[str, Any]], names: ToolNames) -> list[Message]:
    """The messages that these stand for.

    `system` and `developer` are one to these models: both are the developer's instructions.
    """
    messages: list[Message] = []
    reader = _Reader(names)
    for path, item in items:
        fields = Fields(item, path)
        role = fields.needed_text("role")
        if role not in _ROLES:
            raise one_of(fields.at("role"), role, _ROLES)
        messages += reader.read(role, fields)
        fields.close()
    return messages


class _Reader:
    """Reads messages one after the other, for a result names its call only by an id."""

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._calls = Calls(names)
        self._by_role: dict[str, Callable[[Fields], list[Message]]] = {
            "system": self._settings,
            "developer": self._settings,
            "user": self._user,
            "assistant": self._assistant,
            "tool": self._tool,
            "function": self._function,
        }

    def read(self, role: str, fields: Fields) -> list[Message]:
        return self._by_role[role](fields)

    def _settings(self, fields: Fields) -> list[Message]:
        _name(fields)
        return [instruction(_needed_content(fields))]

    def _user(self, fields: Fields) -> list[Message]:
        return [said(Role.USER, _needed_content(fields), _name(fields))]

    def _assistant(self, fields: Fields) -> list[Message]:
        _name(fields)
        messages = read_assistant(fields, self._calls)
        if not messages:
            raise missing(fields.at("content"))
        return messages

    def _tool(self, fields: Fields) -> list[Message]:
        fields.text("name")
        call_id = fields.needed_text("tool_call_id")
        return [self._calls.answered(call_id, _needed_content(fields), fields.at("tool_call_id"))]

    def _function(self, fields: Fields) -> list[Message]:
        """A result in the form that preceded tool calls: it names the function itself."""
        name = fields.needed_word("name")
        return [result(speakable(self._names.to_model(name)), _content(fields) or "")]


def read_assistant(fields: Fields, calls: Calls) -> list[Message]:
    """Thoughts, then words, then calls: the order in which the model writes them."""
    if fields.take("audio") is not None:
        raise unsupported(fields.at("audio"), "these models read text only")
    fields.take("annotations")
    thoughts = _reasoning(fields)
    words = _content(fields)
    refusal = fields.text("refusal")
    made = _made(fields, calls)
    messages = [] if thoughts is None else [thought(thoughts)]
    if words is not None and not (made and words == ""):
        messages.append(preamble(words) if made else answer(words))
    messages += [answer(refusal)] if refusal else []
    return [*messages, *made]


def _made(fields: Fields, calls: Calls) -> list[Message]:
    made = []
    for path, item in fields.array("tool_calls"):
        each = Fields(item, path)
        kind = each.needed_text("type")
        if kind != "function":
            raise unsupported(each.at("type"), "only calls to functions can be told to these models")
        each.take("index")
        made.append(_call(calls, each.needed_text("id"), each.needed_object("function")))
        each.close()
    legacy = fields.object("function_call")
    return [*made, _call(calls, "", legacy)] if legacy else made


def _call(calls: Calls, call_id: str, function: Fields) -> Message:
    name = function.needed_word("name")
    message = calls.made(call_id, name, function.needed_text("arguments"))
    function.close()
    return message


def _name(fields: Fields) -> str | None:
    name = fields.text("name")
    return None if name is None else checked_word(name, fields.at("name"))


def _needed_content(fields: Fields) -> str:
    text = _content(fields)
    if text is None:
        raise missing(fields.at("content"))
    return text


def _content(fields: Fields) -> str | None:
    return read_text(fields, "content", {"text": "text", "refusal": "refusal"}, ("prompt_cache_breakpoint",))


def _reasoning(fields: Fields) -> str | None:
    """The thoughts of an earlier turn, under either name or under both alike."""
    found = {name: text for name in REASONING_FIELDS if (text := fields.text(name))}
    if len(set(found.values())) > 1:
        raise invalid(
            fields.at(REASONING_FIELDS[0]), f"it differs from {REASONING_FIELDS[1]}: give one of them"
        )
    return next(iter(found.values()), None)
