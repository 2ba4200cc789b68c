"""What there is to look at from the start: conversations, and the malformed outputs that models write."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.format.decode import to_text
from harmony_py.inspector.source import Source
from harmony_py.testing import vectors
from harmony_py.testing.tokens import ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.inspector.source import Kind
    from harmony_py.testing.vectors import VectorCase

CONVERSATIONS: Final = ("toy", "request", "thoughts", "scripts", "pretending")
"""The files in `examples/`, in the order in which they are offered."""

_CONVERSATIONS: Final = "Conversations"

_UNSEEN: Final = re.compile("[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")

_SCHEMA: Final = {
    "name": "search",
    "description": "Searches the shop.",
    "parameters": {
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "description": "What to look for."},
            "sort": {"enum": ["price", "rating", None]},
            "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
            "price": {"$ref": "#/$defs/range"},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
            "place": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["query"],
        "additionalProperties": False,
        "$defs": {
            "range": {
                "type": "object",
                "properties": {"from": {"type": "number"}, "to": {"type": "number"}},
            }
        },
    },
}


class Example(NamedTuple):
    """A source with a name, in a group of such."""

    group: str
    name: str
    source: Source


def conversations() -> Iterator[Example]:
    """Conversations in JSON, as anybody would write them."""
    folder = resources.files("harmony_py.inspector") / "examples"
    for name in CONVERSATIONS:
        document = json.loads((folder / f"{name}.json").read_text("utf-8"))
        if "request" in document:
            source = Source(kind="request", text=_written(document["request"]), render="prompt")
            yield Example(_CONVERSATIONS, document["name"], source)
        else:
            yield conversation(document["name"], document["messages"])


def conversation(name: str, messages: list[Any]) -> Example:
    """A conversation, whose messages are in the form of `Message.to_dict`."""
    return Example(_CONVERSATIONS, name, Source(kind="conversation", text=_written({"messages": messages})))


def _written(document: Any) -> str:
    """JSON to be edited: what turns a line around, or cannot be seen, would do so in the editor too."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def malformed() -> Iterator[Example]:
    """Every case of the published vectors."""
    for file in vectors.files():
        group = f"{file.pattern} {file.title.rstrip('.')}"
        for case in file.cases:
            yield Example(group, f"{file.pattern} {case.name}", _SOURCES[file.kind](case))


def schemas() -> list[dict[str, str]]:
    """Tools to look at."""
    return [{"name": "A tool that upstream's style cannot tell", "text": json.dumps(_SCHEMA, indent=2)}]


def all_examples() -> list[Example]:
    return [*conversations(), *malformed()]


# -- the kinds of vectors ----------------------------------------------------------------------------------


def _of_tokens(case: VectorCase) -> Source:
    role = _role(case.role)
    tools = case.data.get("tools", [])
    spelled = to_text(case.tokens)
    if ids(spelled) == case.tokens:
        return Source(kind="text", text=spelled, role=role, tools=tools)
    return Source(kind="tokens", text=json.dumps(case.tokens), role=role, tools=tools)


def _of_prompt(case: VectorCase) -> Source:
    prompt = case.data["prompt"]
    role = None if prompt[:1] == ids("<|start|>") else "assistant"
    text = json.dumps([*prompt, *case.tokens])
    return Source(kind="tokens", text=text, role=_role(role), prompt=len(prompt))


def _of_text(case: VectorCase) -> Source:
    if case.tokens:
        return Source(kind="tokens", text=json.dumps(case.tokens), role=_role(case.role))
    kind: Kind = "stripped" if case.data["markers"] == "stripped" else "text"
    return Source(kind=kind, text=case.data["text"], role=_role(case.role))


def _of_arguments(case: VectorCase) -> Source:
    header = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>"
    return Source(kind="text", text=f"{header}{case.data['text']}<|call|>")


def _role(role: str | None) -> Any:
    return "none" if role is None else role


_SOURCES: Final = {
    "tokens": _of_tokens,
    "prompt": _of_prompt,
    "text": _of_text,
    "arguments": _of_arguments,
}
