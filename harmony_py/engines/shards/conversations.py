"""Records read as conversations. Nothing in a message is passed over: what is not known is an error."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.chat import Message, Role
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


class Talk(NamedTuple):
    messages: Sequence[Message]
    unweighted: frozenset[int] = frozenset()
    """The indices of those that are not trained on, because the record says so."""


def columns(form: Form, column: str) -> tuple[str, ...]:
    """The fields of a record that matter."""
    return (column, *_BESIDE) if form == "chat" else (column,)


def read_conversation(record: object, form: Form, column: str) -> Talk:
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


def _read_harmony(record: Mapping[str, Any], messages: list[Any]) -> Talk:
    check_json(messages)
    return Talk([_message(f"messages[{index}]", each) for index, each in enumerate(messages)])


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


def _read_chat(record: Mapping[str, Any], messages: list[Any]) -> Talk:
    beside = {name: _plain(record[name], name) for name in _BESIDE if record.get(name) is not None}
    weights = [_weight(f"messages[{index}]", each) for index, each in enumerate(messages)]
    bare = [
        each if weight is None else _without_weight(each)
        for each, weight in zip(messages, weights, strict=True)
    ]
    request = {"model": "gpt-oss", "messages": bare, **beside}
    found = read_request(request).conversation.messages
    return Talk(found, _unweighted(found, request, weights) if 0 in weights else frozenset())


def _weight(where: str, message: Any) -> int | None:
    """The weight of a message of the assistant's, as OpenAI's fine-tuning has it: 0 is not trained on."""
    if not isinstance(message, dict) or message.get("role") != Role.ASSISTANT:
        return None
    weight = message.get("weight")
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        raise ShardError(f"{where}.weight", f"expected 0 or 1, found {shortened(str(weight))}")
    return weight


def _without_weight(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "weight"}


def _unweighted(
    found: Sequence[Message], request: dict[str, Any], weights: Sequence[int | None]
) -> frozenset[int]:
    """Which of the messages come from those of weight 0: one may become thoughts, words and calls."""
    spoken = (index for index, message in enumerate(found) if message.author.role == Role.ASSISTANT)
    gone: set[int] = set()
    for message, weight in zip(request["messages"], weights, strict=True):
        if message["role"] == Role.ASSISTANT:
            alone = read_request({**request, "messages": [message]}).conversation
            parts = sum(each.author.role == Role.ASSISTANT for each in alone)
            places = set(islice(spoken, parts))
            gone |= places if weight == 0 else set()
    return frozenset(gone)


_READERS: Final[dict[str, Callable[[Mapping[str, Any], list[Any]], Talk]]] = {
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
