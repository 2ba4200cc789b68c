"""Records read as conversations. Nothing in a message is passed over: what is not known is an error."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.chat import Role
from harmony_py.chat.reading import read_message
from harmony_py.errors import PlacedError, ShardError
from harmony_py.wire.chat_completions import read_request
from harmony_py.wire.chat_completions.messages import read_messages
from harmony_py.wire.fields import check_json, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harmony_py.chat import Message
    from harmony_py.engines.shards.recipe import Form

MESSAGES: Final = "messages"

_BESIDE: Final = ("tools", "functions", "tool_choice", "function_call", "response_format", "reasoning_effort")
"""The fields of a chat completion request that change the prompt. Others are the data set's own business."""


class Talk(NamedTuple):
    """A conversation, and what its record says of training on it."""

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
    try:
        return read_message(where, found)
    except PlacedError as problem:
        hint = "; chat completions need the form 'chat'" if "'tool_calls'" in problem.reason else ""
        raise ShardError(problem.where, problem.reason + hint) from None


def _read_chat(record: Mapping[str, Any], messages: list[Any]) -> Talk:
    beside = {name: _plain(record[name], name) for name in _BESIDE if record.get(name) is not None}
    weights = [_weight(f"messages[{index}]", each) for index, each in enumerate(messages)]
    bare = [
        each if weight is None else _without_weight(each)
        for each, weight in zip(messages, weights, strict=True)
    ]
    found, options = read_request({"model": "gpt-oss", "messages": bare, **beside})
    if 0 not in weights:
        return Talk(found.messages)
    parts = [
        len(read_messages([("", message)], options.tools)) if _is_spoken(message) else 0 for message in bare
    ]
    return Talk(found.messages, _unweighted(found.messages, parts, weights))


def _weight(where: str, message: Any) -> int | None:
    """The weight of a message of the assistant's, as OpenAI's fine-tuning has it: 0 is not trained on."""
    if not _is_spoken(message):
        return None
    weight = message.get("weight")
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        raise ShardError(f"{where}.weight", f"expected 0 or 1, found {shortened(str(weight))}")
    return weight


def _without_weight(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "weight"}


def _is_spoken(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == Role.ASSISTANT


def _unweighted(
    found: Sequence[Message], parts: Sequence[int], weights: Sequence[int | None]
) -> frozenset[int]:
    """Which of the messages come from those of weight 0: each became some, of thoughts, words and calls."""
    spoken = (index for index, message in enumerate(found) if message.author.role == Role.ASSISTANT)
    places = [set(islice(spoken, count)) for count in parts]
    return frozenset().union(*(each for each, weight in zip(places, weights, strict=True) if weight == 0))


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
