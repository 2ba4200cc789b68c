"""What a server says of its tools, checked before a model reads it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from harmony_py.chat import ToolDescription
from harmony_py.chat.typescript import declaration
from harmony_py.errors import HarmonyError
from harmony_py.tools.text import visible

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""What can be called without being taken for something else."""

LONGEST_DESCRIPTION: Final = 4000
LONGEST_SCHEMA: Final = 32_768
"""Both in characters."""

_OF_SCHEMAS: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)
_ONE_SCHEMA: Final = frozenset({"items", "additionalProperties", "contains", "not", "if", "then", "else"})
_LIST_OF_SCHEMAS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})


def described(name: str, description: str | None, schema: Any) -> ToolDescription:
    """The tool as the model is told of it; `HarmonyError` says why it cannot be."""
    if not NAME.fullmatch(name):
        raise HarmonyError("expected a name of at most 64 letters, digits, '_' and '-'")
    try:
        length = len(json.dumps(schema, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise HarmonyError(f"the schema is no JSON: {error}") from None
    if length > LONGEST_SCHEMA:
        raise HarmonyError(f"the schema has {length} characters; at most {LONGEST_SCHEMA} are shown")
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise HarmonyError("expected a schema of an object")
    told = visible(description or "").strip()[:LONGEST_DESCRIPTION]
    try:
        parameters = trimmed(schema)
    except RecursionError:
        raise HarmonyError("the schema is nested too deep") from None
    tool = ToolDescription.new(name, told or None, None if _is_empty(parameters) else parameters)
    declaration(tool)  # raises what is wrong with the schema
    return tool


def _is_empty(schema: dict[str, Any]) -> bool:
    """Whether the tool takes no argument, which the models have a shorter way to be told."""
    rest = {key: value for key, value in schema.items() if value not in ({}, [])}
    return rest.pop("type", "object") == "object" and rest in ({}, {"additionalProperties": False})


def trimmed(schema: Any) -> Any:
    """The schema without what says nothing to a model: titles, defaults of null, roundabout types."""
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if (key == "title" and isinstance(value, str)) or (key == "default" and value is None):
            continue
        if key in _OF_SCHEMAS and isinstance(value, dict):
            made[key] = {name: trimmed(inner) for name, inner in value.items()}
        elif key in _ONE_SCHEMA:
            made[key] = trimmed(value)
        elif key in _LIST_OF_SCHEMAS and isinstance(value, list):
            made[key] = [trimmed(inner) for inner in value]
        elif key == "description" and isinstance(value, str):
            made[key] = visible(value)
        else:
            made[key] = value
    return _with_plain_types(made)


def _with_plain_types(schema: dict[str, Any]) -> dict[str, Any]:
    """`{"anyOf": [{"type": "string"}, {"type": "null"}]}` as `{"type": ["string", "null"]}`."""
    options = schema.get("anyOf")
    if "type" in schema or not isinstance(options, list) or not options:
        return schema
    if not all(isinstance(option, dict) and set(option) == {"type"} for option in options):
        return schema
    types = [option["type"] for option in options]
    if not all(isinstance(each, str) for each in types):
        return schema
    return {"type": list(dict.fromkeys(types)), **{key: schema[key] for key in schema if key != "anyOf"}}
