"""Messages out of JSON that somebody wrote. Nothing in it is passed over: what is not known is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from harmony_py.chat.content import DeveloperContent, SystemContent, TextContent
from harmony_py.chat.messages import Conversation, Message
from harmony_py.errors import PlacedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import BaseModel

_KNOWN: Final = frozenset({"role", "name", "content", "channel", "recipient", "content_type"})

_PARTS: Final[dict[str, type[BaseModel]]] = {
    "text": TextContent,
    "system_content": SystemContent,
    "developer_content": DeveloperContent,
}

_LONGEST_QUOTE: Final = 80


def read_conversation(found: object) -> Conversation:
    """The conversation that `found` is: `{"messages": [...]}`, as `to_dict` writes it, or the list alone."""
    messages = found.get("messages") if isinstance(found, dict) else found
    if not isinstance(messages, list):
        raise PlacedError("conversation", 'expected {"messages": [...]} or a list of messages')
    return Conversation(messages=[read_message(f"message {i}", each) for i, each in enumerate(messages)])


def read_message(where: str, found: object) -> Message:
    """The message whose `to_dict` is `found`. Fields that are null count as absent."""
    if not isinstance(found, dict):
        raise PlacedError(where, f"expected an object, found a {type(found).__name__}")
    _refuse_unknown(where, found, _KNOWN)
    content = found.get("content")
    for index, part in enumerate(content if isinstance(content, list) else []):
        kind = _PARTS.get(str(part.get("type"))) if isinstance(part, dict) else None
        if kind:
            _refuse_unknown(f"{where}.content[{index}]", part, kind.model_fields)
    try:
        return Message.from_dict(found)
    except KeyError as problem:
        reason = f"no {problem.args[0]!r}"
    except ValidationError as problem:
        reason = first_problem(problem)
    except (AttributeError, TypeError, ValueError) as problem:
        reason = _shortened(str(problem))
    raise PlacedError(where, reason)


def first_problem(problem: ValidationError) -> str:
    """The first thing that a model found wrong: the field's path, and what was expected there."""
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"


def _refuse_unknown(where: str, found: Mapping[str, Any], known: Collection[str]) -> None:
    unknown = next((name for name, value in found.items() if name not in known and value is not None), None)
    if unknown is not None:
        raise PlacedError(where, f"unknown field {_shortened(unknown)!r}")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
