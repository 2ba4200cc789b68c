"""A tool's JSON Schema in both styles of TypeScript, and where they differ."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError

from harmony_py.chat import ToolDescription
from harmony_py.chat.reading import first_problem
from harmony_py.chat.typescript import SchemaStyle, declaration
from harmony_py.inspector.source import SourceError, load_json
from harmony_py.tokenizer import Tokenizer


def typescript(text: str) -> dict[str, Any]:
    """What the model is told of the tool in `text`: lines, each with whether the other style lacks it.

    `text` is a tool (`name`, `description`, `parameters`), one as OpenAI's APIs take it, or a schema alone.
    """
    tool = _tool(load_json(text))
    upstream, extended = (declaration(tool, style).split("\n") for style in _STYLES)
    blocks = difflib.SequenceMatcher(None, upstream, extended, autojunk=False).get_matching_blocks()
    return {
        "upstream": _side(upstream, {i for block in blocks for i in range(block.a, block.a + block.size)}),
        "extended": _side(extended, {i for block in blocks for i in range(block.b, block.b + block.size)}),
    }


_STYLES: tuple[SchemaStyle, ...] = ("upstream", "extended")


def _side(lines: list[str], shared: set[int]) -> dict[str, Any]:
    return {
        "lines": [[line, index not in shared] for index, line in enumerate(lines)],
        "tokens": Tokenizer.o200k_harmony().count("\n".join(lines)),
    }


def _tool(found: Any) -> ToolDescription:
    if not isinstance(found, dict):
        raise SourceError("schema", "expected an object: a tool, or the schema of its arguments")
    if isinstance(found.get("function"), dict):
        found = found["function"]
    if not isinstance(found.get("name"), str):
        found = {"name": "tool", "parameters": found}
    known = {key: found[key] for key in ToolDescription.model_fields if key in found}
    try:
        return ToolDescription(**known)
    except ValidationError as problem:
        raise SourceError("tool", first_problem(problem)) from None
