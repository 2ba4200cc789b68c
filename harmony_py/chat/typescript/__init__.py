"""Tools as the model sees them: JSON Schema turned into TypeScript declarations.

Two styles. `"upstream"` is what `openai-harmony` 0.0.8 writes, byte for byte, and drops what it drops.
`"extended"` is the same wherever upstream loses nothing, and renders what it loses.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from harmony_py.chat.typescript.extended import ExtendedWriter
from harmony_py.chat.typescript.text import comment, lines
from harmony_py.chat.typescript.upstream import UpstreamWriter
from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    from harmony_py.chat.tools import ToolDescription

_write = json.JSONEncoder(allow_nan=False).encode

SchemaStyle = Literal["upstream", "extended"]

__all__ = ["SchemaStyle", "declaration"]


def declaration(tool: ToolDescription, style: SchemaStyle = "extended") -> str:
    """`type f = (_: {...}) => any;` under a comment that says what the tool is for.

    Raises `HarmonyError` for a schema that is not JSON or is nested too deep to read.
    """
    try:
        notes, arguments = _arguments(tool.parameters, style)
    except RecursionError:
        raise HarmonyError(f"tool {tool.name!r}: the schema is nested too deep") from None
    except (HarmonyError, OverflowError) as error:
        raise HarmonyError(f"tool {tool.name!r}: {error}") from error
    told = lines(tool.description or "")
    comments = [comment(note) for note in [*told, *(note for note in notes if note not in told)]]
    return "\n".join([*comments, f"type {tool.name} = ({arguments}) => any;"])


def _arguments(parameters: dict[str, Any] | None, style: SchemaStyle) -> tuple[list[str], str]:
    """What there is to say of a tool's one argument, and its declaration."""
    if parameters is None:
        return [], ""
    schema = _plain_json(parameters)
    if style == "upstream":
        return [], f"_: {UpstreamWriter().type_of(schema, '')}"
    extended = ExtendedWriter(schema)
    return extended.notes(), f"_: {extended.parameters()}"


def _plain_json(parameters: dict[str, Any]) -> Any:
    """`parameters` as JSON knows them: tuples are lists, enums their values, keys strings."""
    try:
        return json.loads(_write(parameters))
    except (TypeError, ValueError) as error:
        raise HarmonyError(f"the parameters are not JSON: {error}") from error
