"""A stream as the page shows it: its tokens, and what both ways of parsing make of each of them."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any

from harmony_py.errors import ArgumentsError, ParseError
from harmony_py.format.decode import is_valid, token_bytes
from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.format.parse import StreamableParser
from harmony_py.inspector.breaking import breakable
from harmony_py.tokenizer.special import START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.chat import Message
    from harmony_py.format.events import Event
    from harmony_py.format.parse import PolicyName
    from harmony_py.inspector.source import Opened

Plain = dict[str, Any]
"""What JSON can say."""


def view(opened: Opened) -> Plain:
    """The tokens, and both parses of them, told step by step.

    A parse has a step for each token and one for the end of the stream, and a state before each of them. Of
    one that was refused, steps and states end there.
    """
    strict, recover = _followed(opened, "strict"), _followed(opened, "recover")
    return {
        "role": opened.role,
        "prompt": opened.prompt,
        "notes": list(opened.notes),
        "tokens": list(_tokens(opened)),
        "strict": strict,
        "recover": recover,
        "agree": strict["error"] is None and strict["steps"] == recover["steps"],
        "breakable": breakable(opened),
        "schemas": [
            {"name": f"{space.name}.{tool.name}", "text": json.dumps(tool.model_dump(), indent=2)}
            for space in opened.offered or ()
            for tool in space.tools
        ],
    }


# -- tokens ------------------------------------------------------------------------------------------------


def _tokens(opened: Opened) -> Iterator[Plain]:
    parser = StreamableParser(None, opened.role, policy="recover", tools=opened.tools)
    parser.feed(opened.tokens)
    parser.finish()
    spans = [span for span in parser.spans for _ in range(span.start, span.end)]
    for token, span, place in zip(opened.tokens, spans, _places(opened.tokens), strict=True):
        raw = token_bytes(token)
        yield {
            "id": token,
            "bytes": raw.hex(" ") if is_valid(token) else "",
            "text": _text(token, raw),
            "control": token >= START_OF_TEXT and is_valid(token),
            "characters": list(place),
            "part": span.part,
            "message": span.message,
        }


def _text(token: int, raw: bytes) -> str | None:
    """What the token spells; None if that is no text: a piece of a character, or no token at all."""
    try:
        return raw.decode() if is_valid(token) else None
    except UnicodeDecodeError:
        return None


def _places(tokens: list[int]) -> Iterator[tuple[int, int]]:
    """The characters of the whole text that each token has a part in, end exclusive."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    done = 0
    for token in tokens:
        start = done
        done += len(decoder.decode(token_bytes(token)))
        yield start, done + bool(decoder.getstate()[0])


# -- parses ------------------------------------------------------------------------------------------------


def _followed(opened: Opened, policy: PolicyName) -> Plain:
    """What one way of parsing does, token by token."""
    parser = StreamableParser(None, opened.role, policy=policy, tools=opened.tools)
    steps: list[list[Plain]] = []
    states = [parser.grammar_state.value]
    error: Plain | None = None
    try:
        for token in opened.tokens:
            steps.append([_event(event) for event in parser.feed([token])])
            states.append(parser.grammar_state.value)
        steps.append([_event(event) for event in parser.finish()])
    except ParseError as problem:
        expected = list(problem.expected)
        error = {"reason": problem.reason, "token": problem.token_index, "expected": expected}
    except OverflowError as problem:
        error = {"reason": f"no token has this id: {problem}", "token": len(steps), "expected": []}
    return {"steps": steps, "states": states, "error": error}


def _event(event: Event) -> Plain:
    """An event; text and an end belong to the message that began last."""
    if isinstance(event, MessageStart):
        header = event.header._asdict()
        header.pop("style")
        return {"kind": "start", **header, "role": event.header.role.value}
    if isinstance(event, ContentDelta):
        return {"kind": "text", "text": event.text}
    if isinstance(event, MessageEnd):
        return {"kind": "end", "arguments": _arguments(event.message)}
    return {
        "kind": "repair",
        "code": event.code,
        "token": event.token_index,
        "span": list(event.span),
        "detail": event.detail,
    }


def _arguments(message: Message) -> Plain | None:
    """Whether a call passes a JSON object, and if not, what it may have meant. None: it is no such call."""
    if not message.is_tool_call or (message.content_type or "").endswith("code"):
        return None
    try:
        message.arguments()
    except ArgumentsError as problem:
        found: Plain = {"problem": str(problem), "repairs": [], "repaired": None}
        try:
            mended = message.arguments(repair=True)
        except ArgumentsError:
            return found
        repaired = json.dumps(mended.value, ensure_ascii=False)
        return {**found, "repairs": list(mended.repairs), "repaired": repaired}
    return {"problem": None, "repairs": [], "repaired": None}
