"""Examples as people read them, and how large they are."""

from __future__ import annotations

import json
from typing import Any

from harmony_py.testing.tokens import spelled
from harmony_py.tokenizer import Tokenizer


def show(example: Any) -> str:
    """The example, a line for each thing in it."""
    if isinstance(example, str):
        return repr(example)
    if hasattr(example, "done"):
        begin = f"after {spelled(example.prompt)!r}: " if example.prompt else ""
        done = "".join(f"\n({each})" for each in dict.fromkeys(each.what for each in example.done))
        return f"{begin}{_stream(example.tokens, example.role)}{done}"
    if hasattr(example, "tokens"):
        return _stream(example.tokens, example.role)
    if _is_conversation(example):
        return "\n".join(map(message, example))
    return repr(example)


def message(flat: dict[str, Any]) -> str:
    """A message in the flat form, on one line."""
    fields = {key: value for key, value in flat.items() if key != "content" and value is not None}
    parts = [part.get("text", part) for part in flat["content"]]
    text = parts[0] if len(parts) == 1 else parts
    return ", ".join(f"{key} {value!r}" for key, value in {**fields, "content": text}.items())


def size(example: Any) -> int:
    """How many tokens an example is."""
    if hasattr(example, "tokens"):
        return len(example.tokens) + len(getattr(example, "prompt", ()))
    if isinstance(example, str):
        return Tokenizer.o200k_harmony().count(example)
    if _is_conversation(example):
        return sum(_message_size(flat) for flat in example)
    return Tokenizer.o200k_harmony().count(json.dumps(example, default=repr, ensure_ascii=False))


def _message_size(flat: dict[str, Any]) -> int:
    """About the tokens that it renders to: its words and the control tokens around them."""
    words = [str(value) for key, value in flat.items() if key != "content" and value is not None]
    words += [part["text"] if "text" in part else json.dumps(part) for part in flat["content"]]
    controls = 3 + (flat.get("channel") is not None)
    return controls + sum(Tokenizer.o200k_harmony().count(word) for word in words)


def _stream(tokens: list[int], role: str | None) -> str:
    begin = f"after <|start|>{role}: " if role else ""
    return f"{begin}{spelled(tokens)!r}\n{tokens}"


def _is_conversation(example: Any) -> bool:
    return isinstance(example, list) and all(isinstance(each, dict) and "role" in each for each in example)
