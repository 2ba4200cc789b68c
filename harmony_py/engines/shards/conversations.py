"""Records read as conversations. Nothing in a message is passed over: what is not known is an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat import Message
from harmony_py.errors import ShardError
from harmony_py.wire.chat_completions import read_request
from harmony_py.wire.fields import check_json, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harmony_py.engines.shards.recipe import Form

MESSAGES: Final = "messages"

_BESIDE: Final = ("tools", "functions", "tool_choice", "function_call", "response_format", "reasoning_effort")
"""The fields of a chat completion request that change the prompt. Others are the data set's own business."""

_KNOWN: Final = frozenset({"role", "name", "content", "channel", "recipient", "content_type"})


def columns(form: Form, column: str) -> tuple[str, ...]:
    """The fields of a record that matter."""
    return (column, *_BESIDE) if form == "chat" else (column,)


def read_conversation(record: object, form: Form, column: str) -> Sequence[Message]:
    """The messages of a record: of a list, or of an object that has them, or their JSON, in `column`."""
    if isinstance(record, list):
        record = {column: record}
    if not isinstance(record, dict):
        raise ShardError("record", f"expected an object or a list of messages, found {_kind(record)}")
    if record.get(column) is None:
        raise ShardError("record", f"no field {column!r}; there are {_listed(record)}")
    messages = _plain(record[column], column)
    if isinstance(messages, dict):
        record, messages = messages, messages.get(MESSAGES)
    if not isinstance(messages, list):
        raise ShardError(column, f"expected a list of messages, found {_kind(messages)}")
    if not messages:
        raise ShardError(column, "no messages")
    return _READERS[form](record, messages)


def _read_harmony(record: Mapping[str, Any], messages: list[Any]) -> Sequence[Message]:
    check_json(messages)
    return [_message(f"messages[{index}]", each) for index, each in enumerate(messages)]


def _message(where: str, found: Any) -> Message:
    if not isinstance(found, dict):
        raise ShardError(where, f"expected an object, found {_kind(found)}")
    if unknown := [name for name in found if name not in _KNOWN]:
        hint = "; chat completions need the form 'chat'" if "tool_calls" in unknown else ""
        raise ShardError(where, f"unknown field {shortened(unknown[0])!r}{hint}")
    try:
        return Message.from_dict(found)
    except KeyError as problem:
        reason = f"no {problem.args[0]!r}"
    except (AttributeError, TypeError, ValueError) as problem:
        reason = str(problem)
    raise ShardError(where, reason)


def _read_chat(record: Mapping[str, Any], messages: list[Any]) -> Sequence[Message]:
    beside = {name: _plain(record[name], name) for name in _BESIDE if record.get(name) is not None}
    request = {"model": "gpt-oss", "messages": messages, **beside}
    return read_request(request).conversation.messages


_READERS: Final[dict[str, Callable[[Mapping[str, Any], list[Any]], Sequence[Message]]]] = {
    "harmony": _read_harmony,
    "chat": _read_chat,
}


def _plain(value: object, name: str) -> Any:
    """`value`, or what it says in JSON: tables often hold objects so."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as problem:
        raise ShardError(name, f"no JSON: {problem}") from None


def _listed(record: Mapping[str, Any]) -> str:
    return shortened(", ".join(map(repr, record))) or "none"


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
