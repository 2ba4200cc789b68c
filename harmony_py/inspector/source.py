"""What is looked at: a conversation, a request, text or ids, read as one stream of tokens."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from harmony_py.chat import DeveloperContent, Role, SystemContent
from harmony_py.chat.reading import read_conversation
from harmony_py.errors import PlacedError
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.retention import dropped
from harmony_py.format.text import TextParser
from harmony_py.wire import chat_completions, responses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.chat import Conversation, ToolNamespaceConfig

MOST_TOKENS: Final = 10_000
"""A page with more of them would be slow, and nobody reads it."""

_LARGEST: Final = 2**53
"""Ids beyond this a browser cannot tell apart."""

_BYTE_ORDER_MARK: Final = "\ufeff"
_SEPARATORS: Final = re.compile(r"[\s,]+")
_ID: Final = re.compile(r"-?[0-9]{1,20}")

Kind = Literal["conversation", "request", "text", "stripped", "tokens"]


class SourceError(PlacedError):
    """What was typed cannot be read: where, and why."""


class Source(BaseModel):
    """What was typed, and how it is meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Kind
    """A `"request"` is one of OpenAI's APIs. `"text"` spells its control tokens, from `"stripped"` they were
    taken out; `"tokens"` are ids."""
    text: str
    role: Literal["assistant", "none"] = "assistant"
    """Of text and ids: whose message begins; `"none"`: they begin with a `<|start|>`."""
    render: Literal["whole", "prompt", "training"] = "whole"
    """What a conversation or a request is rendered as."""
    analysis: Literal["previous_turns", "never"] = "previous_turns"
    """Which old thoughts it leaves out."""
    prompt: int = 0
    """Of ids: how many of the first ones are the prompt's."""
    tools: list[str] = []
    """Of text and ids: the full names of the tools there are."""


class Opened(NamedTuple):
    """A source as a stream of tokens."""

    tokens: list[int]
    role: str | None
    """Whose header the tokens go on; None if they begin anew."""
    prompt: int = 0
    tools: tuple[str, ...] = ()
    offered: tuple[ToolNamespaceConfig, ...] | None = None
    """The tools that the conversation offers; None where there is no conversation to say."""
    notes: tuple[str, ...] = ()


def open_source(source: Source) -> Opened:
    """The stream that `source` stands for. `SourceError` if it cannot be read."""
    opened = _OPENERS[source.kind](source)
    if len(opened.tokens) > MOST_TOKENS:
        raise SourceError(
            "too long", f"{len(opened.tokens):,} tokens; the page shows {MOST_TOKENS:,} at the most"
        )
    return opened


def guess(text: str) -> Kind:
    """What `text` most likely is: a conversation or a request in JSON, ids, or text that spells controls."""
    try:
        found = json.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        words = [word for word in _SEPARATORS.split(text) if word]
        return "tokens" if words and all(map(_ID.fullmatch, words)) else "text"
    if isinstance(found, int) or (isinstance(found, list) and found and isinstance(found[0], int)):
        return "tokens"
    if isinstance(found, dict) and {"model", "input"} & found.keys():
        return "request"
    return "conversation" if isinstance(found, (dict, list)) else "text"


# -- conversations -----------------------------------------------------------------------------------------


def _conversation(source: Source) -> Opened:
    return _rendered(source, read_messages(source.text))


def _request(source: Source) -> Opened:
    found = load_json(source.text)
    is_response = isinstance(found, dict) and "input" in found
    reader = responses.read_request if is_response else chat_completions.read_request
    return _rendered(source, reader(found).conversation)


def _rendered(source: Source, messages: Conversation) -> Opened:
    config = RenderConfig(analysis=source.analysis)
    rendered = load_harmony_encoding().render_detailed(
        messages,
        next_turn_role=Role.ASSISTANT if source.render == "prompt" else None,
        training=source.render == "training",
        config=config,
    )
    offered = tuple(_offered(messages))
    names = tuple(f"{space.name}.{tool.name}" for space in offered for tool in space.tools)
    gone = sorted(dropped(messages.messages, config.analysis))
    notes = (f"Left out as old thoughts: {_listed(gone)}.",) if gone else ()
    return Opened(rendered.tokens, None, tools=names, offered=offered, notes=notes)


def read_messages(text: str) -> Conversation:
    """The conversation in `text`, as `Conversation.to_dict` is, or its messages alone."""
    try:
        return read_conversation(load_json(text))
    except PlacedError as problem:
        raise SourceError(problem.where, problem.reason) from None


def load_json(text: str) -> Any:
    """What the JSON in `text` says. `SourceError` names the line where it is none."""
    try:
        return json.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except json.JSONDecodeError as problem:
        raise SourceError(f"line {problem.lineno}, column {problem.colno}", problem.msg) from None
    except (ValueError, RecursionError) as problem:
        raise SourceError("JSON", str(problem)) from None


def _offered(messages: Conversation) -> Iterator[ToolNamespaceConfig]:
    for message in messages:
        for part in message.content:
            if isinstance(part, (SystemContent, DeveloperContent)):
                yield from (part.tools or {}).values()


def _listed(indices: list[int]) -> str:
    return f"message{'s' if len(indices) > 1 else ''} {', '.join(map(str, indices))}"


# -- streams -----------------------------------------------------------------------------------------------


def _text(source: Source) -> Opened:
    tokens = load_harmony_encoding().encode(source.text, allowed_special="all")
    return Opened(tokens, _role(source), tools=tuple(source.tools))


def _stripped(source: Source) -> Opened:
    return open_stripped(source.text, tuple(source.tools))


def open_stripped(text: str, tools: tuple[str, ...]) -> Opened:
    """Text from which an engine has taken the control tokens, and those that reading it put back."""
    parser = TextParser("assistant", markers="stripped", tools=tools)
    parser.feed(text)
    parser.finish()
    note = "The text came without control tokens: those shown are what reading it made of its words."
    return Opened(parser.parser.tokens, "assistant", tools=tools, notes=(note,))


def _tokens(source: Source) -> Opened:
    ids = _ids(source.text)
    if not 0 <= source.prompt <= len(ids):
        raise SourceError("prompt", f"{source.prompt} of {len(ids)} tokens")
    return Opened(ids, _role(source), prompt=source.prompt, tools=tuple(source.tools))


def _ids(text: str) -> list[int]:
    if text.lstrip().startswith("["):
        found = load_json(text)
        for index, value in enumerate(found):
            if not isinstance(value, int) or isinstance(value, bool):
                raise SourceError(f"item {index}", f"expected a token id, found {json.dumps(value)[:40]}")
    else:
        words = [word for word in _SEPARATORS.split(text) if word]
        for index, word in enumerate(words):
            if not _ID.fullmatch(word):
                raise SourceError(f"item {index}", f"expected a token id, found {word[:40]!r}")
        found = [int(word) for word in words]
    for index, value in enumerate(found):
        if abs(value) >= _LARGEST:
            raise SourceError(f"item {index}", f"{value} is far from any token id")
    return list(found)


def _role(source: Source) -> str | None:
    return None if source.role == "none" else source.role


_OPENERS: Final = {
    "conversation": _conversation,
    "request": _request,
    "text": _text,
    "stripped": _stripped,
    "tokens": _tokens,
}
