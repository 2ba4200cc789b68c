"""Conversations as OpenAI's clients send them, put together by a seeded generator from prose and code."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEED = 20251121
TOOLS = 40
TYPES = ("string", "number", "boolean")
PARAGRAPH_LINES = 12


def requests(prose: Iterable[str], code: Iterable[str]) -> Iterator[str]:
    """One request a line, without end while the texts last; no paragraph is used twice."""
    rng = random.Random(SEED)
    passages, snippets = _paragraphs(prose), _paragraphs(code)
    tools = [_tool(rng, next(passages)) for _ in range(TOOLS)]
    while True:
        messages: list[dict[str, Any]] = [{"role": "system", "content": next(passages)}]
        for _ in range(rng.randrange(1, 5)):
            question, answer = next(passages).split("\n")[0], next(passages)
            messages.append({"role": "user", "content": question})
            if rng.random() < 0.5:
                messages += _tool_use(rng, rng.choice(tools)["function"], question)
            if rng.random() < 0.4:
                answer += f"\n\n```python\n{next(snippets)}\n```\n"
            messages.append({"role": "assistant", "content": answer})
        request = {"model": "gpt-oss-20b", "messages": messages, "tools": rng.sample(tools, rng.randrange(3))}
        yield json.dumps(request, ensure_ascii=False)


def _paragraphs(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        lines = text.split("\n")
        for start in range(0, len(lines), PARAGRAPH_LINES):
            if paragraph := "\n".join(lines[start : start + PARAGRAPH_LINES]).strip():
                yield paragraph


def _tool(rng: random.Random, description: str) -> dict[str, Any]:
    """A function's definition, named and described in words of `description`."""
    words = [word for word in description.lower().split() if word.isalpha()] or ["look", "up"]
    named = rng.sample(words, min(len(TYPES), len(words)))
    properties = {
        f"{word}_{kind}": {"type": kind, "description": " ".join(rng.sample(words, min(6, len(words))))}
        for word, kind in zip(named, TYPES, strict=False)
    }
    function = {
        "name": "_".join(words[:2]),
        "description": description[:200],
        "parameters": {"type": "object", "properties": properties, "required": list(properties)[:1]},
    }
    return {"type": "function", "function": function}


def _tool_use(rng: random.Random, function: dict[str, Any], question: str) -> list[dict[str, Any]]:
    """A call of `function` and what it returned."""
    values = {"string": question[:40], "number": rng.randrange(10_000), "boolean": rng.random() < 0.5}
    properties = function["parameters"]["properties"]
    arguments = {name: values[schema["type"]] for name, schema in properties.items()}
    rows = [{"id": rng.getrandbits(32), "score": round(rng.random(), 6)} for _ in range(4)]
    identity = f"call_{rng.getrandbits(96):024x}"
    called = {"name": function["name"], "arguments": json.dumps(arguments)}
    return [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": identity, "type": "function", "function": called}],
        },
        {"role": "tool", "tool_call_id": identity, "content": json.dumps({"rows": rows})},
    ]
