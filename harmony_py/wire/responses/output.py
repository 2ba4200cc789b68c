"""What the model wrote, as the items of a response: how each begins, and what it is in the end."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat.arguments import parse_arguments
from harmony_py.errors import ArgumentsError
from harmony_py.wire.ids import NewId, random_id
from harmony_py.wire.logprobs import for_part
from harmony_py.wire.tools import BROWSER, NO_TOOLS, PYTHON
from harmony_py.wire.turn import Kind, Turn, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harmony_py.chat import Message
    from harmony_py.format.header import Header
    from harmony_py.wire.logprobs import Entry
    from harmony_py.wire.responses.requests import ResponsesRequest
    from harmony_py.wire.tools import ToolNames
    from harmony_py.wire.turn import Stop
    from harmony_py.wire.usage import Usage

Item = dict[str, Any]

_REASONS: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(frozen=True)
class Reply:
    """What a response says whatever the model writes."""

    id: str
    created_at: int
    """In seconds since 1970. No clock is read here."""
    echo: dict[str, Any]
    """What it repeats of the request, which the API does at length."""
    tools: ToolNames = NO_TOOLS
    new_id: NewId = random_id
    container_id: str = "local"
    """Where code is run."""

    @classmethod
    def to(cls, request: ResponsesRequest, *, reply_id: str, created_at: int, **more: Any) -> Reply:
        """The reply to a request."""
        return dataclasses.replace(cls(reply_id, created_at, request.echo, request.options.tools), **more)


def response(
    reply: Reply, steps: Sequence[Turn | Message], usage: Usage | None = None, error: str | None = None
) -> dict[str, Any]:
    """The whole response. `steps` are what the model wrote at one go and, in between, what the server's own
    tools answered it."""
    stops = [step.stop for step in steps if isinstance(step, Turn)]
    return as_it_is(reply, output(reply, steps), stops[-1] if stops else "stop", usage, error)


def as_it_is(
    reply: Reply,
    items: Iterable[Item],
    stop: Stop | None,
    usage: Usage | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """A response with these items; without `stop` it goes on."""
    reason = None if stop is None or error else _REASONS.get(stop)
    status = "in_progress" if stop is None else "incomplete" if reason else "completed"
    return {
        "id": reply.id,
        "object": "response",
        "created_at": reply.created_at,
        "status": "failed" if error else status,
        "error": {"code": "server_error", "message": error} if error else None,
        "incomplete_details": {"reason": reason} if reason else None,
        **reply.echo,
        "output": list(items),
        "usage": None if usage is None else usage.for_responses(),
    }


def output(reply: Reply, steps: Sequence[Turn | Message]) -> list[Item]:
    """The items of a response."""
    items: list[Item] = []
    for step in steps:
        if isinstance(step, Turn):
            items += _items(reply, step)
        else:
            waiting = next((item for item in items if awaits(item, step)), None)
            if waiting is not None:
                waiting.update(answered(waiting, step.text))
    return items


def _items(reply: Reply, turn: Turn) -> list[Item]:
    items = []
    for index, message in enumerate(turn.messages):
        item = begun(reply, message)
        if item is not None:
            cut = turn.cut and index == len(turn.messages) - 1
            told = turn.logprobs[index] if turn.logprobs else ()
            items.append(ended(item, message.text, "incomplete" if cut else "completed", told))
    return items


# -- items --------------------------------------------------------------------------------------------------


def begun(reply: Reply, header: Header | Message) -> Item | None:
    """The item of a message of which only the header is known; None if there is no item for it."""
    kind = kind_of(header, reply.tools)
    if kind is Kind.FOREIGN:
        return None
    item: Item = {"type": "", "status": "in_progress"}
    recipient = header.recipient or ""
    if kind is Kind.REASONING:
        item |= {"type": "reasoning", "id": reply.new_id("rs"), "summary": [], "content": []}
    elif kind is Kind.CALL:
        item |= _call(reply, recipient)
    elif kind is Kind.BUILTIN:
        item |= _builtin(reply, recipient)
    else:
        phase = "commentary" if kind is Kind.PREAMBLE else "final_answer"
        item |= {
            "type": "message",
            "id": reply.new_id("msg"),
            "role": "assistant",
            "content": [],
            "phase": phase,
        }
    return item


def _call(reply: Reply, recipient: str) -> Item:
    return {
        "type": "function_call",
        "id": reply.new_id("fc"),
        "call_id": reply.new_id("call"),
        "name": reply.tools.to_client(recipient),
        "arguments": "",
    }


def _builtin(reply: Reply, recipient: str) -> Item:
    namespace, _, name = recipient.partition(".")
    if namespace == BROWSER:
        action = {"type": _ACTIONS.get(name, "search")}
        return {"type": "web_search_call", "id": reply.new_id("ws"), "action": action}
    if namespace == PYTHON:
        container = {"container_id": reply.container_id, "outputs": None}
        return {"type": "code_interpreter_call", "id": reply.new_id("ci"), "code": "", **container}
    return {
        "type": "mcp_call",
        "id": reply.new_id("mcp"),
        "server_label": namespace,
        "name": name,
        "arguments": "",
        "output": None,
        "error": None,
    }


_ACTIONS: Final = {"search": "search", "open": "open_page", "find": "find_in_page"}


def ended(item: Item, text: str, status: str, logprobs: Sequence[Entry] = ()) -> Item:
    """The item with all its text."""
    kind = item["type"]
    filled: Item = {"status": status}
    if kind in PARTS:
        filled["content"] = [part(kind, text, logprobs)]
    elif kind == "web_search_call":
        filled["action"] = _action(item["action"]["type"], text)
    else:
        filled["code" if kind == "code_interpreter_call" else "arguments"] = text
    return {**item, **filled}


PARTS: Final = {"reasoning": "reasoning_text", "message": "output_text"}
"""The items whose text is in a part, and the type of the part."""


def part(kind: str, text: str, logprobs: Sequence[Entry] = ()) -> Item:
    found = {"type": PARTS[kind], "text": text}
    if kind != "message":
        return found
    return {**found, "annotations": [], "logprobs": [for_part(entry) for entry in logprobs]}


def _action(kind: str, text: str) -> Item:
    """What the browser is to do. Of a call that makes no sense the query tells everything."""
    try:
        given = parse_arguments(text, repair=True).value
    except ArgumentsError:
        given = {}
    if kind == "open_page":
        return {"type": kind, "url": _word(given.get("id"), None)}
    if kind == "find_in_page":
        return {"type": kind, "pattern": _word(given.get("pattern"), text), "url": ""}
    query = _word(given.get("query"), text)
    return {"type": kind, "query": query, "queries": [query]}


def _word(value: Any, otherwise: str | None) -> str | None:
    """A string that can be encoded: a model may spell a lone surrogate."""
    try:
        return value.encode().decode() if isinstance(value, str) else otherwise
    except UnicodeEncodeError:
        return otherwise


# -- results of the server's own tools ----------------------------------------------------------------------


def awaits(item: Item, result: Message) -> bool:
    """Whether `item` is a call that `result` may answer."""
    name = result.author.name or ""
    if item["status"] != "completed":
        return False
    if item["type"] == "mcp_call":
        return name == f"{item['server_label']}.{item['name']}" and item["output"] is None
    namespace = name.partition(".")[0]
    if item["type"] == "code_interpreter_call":
        return namespace == PYTHON and item["outputs"] is None
    return item["type"] == "web_search_call" and namespace == BROWSER


def answered(item: Item, text: str) -> Item:
    """What a result adds to an item."""
    if item["type"] == "web_search_call":
        return {}  # the API has no field for what was found
    if item["type"] == "mcp_call":
        return {"output": text}
    return {"outputs": [{"type": "logs", "logs": text}]}
