"""Walking through JSON Schemas from strangers: without a stack, and without taking data for schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Words whose value is no schema but holds schemas by name."""

DATA: Final = frozenset({"const", "enum", "default", "example", "examples"})
"""Words whose value is data, whatever it looks like."""


def members(value: Any, place: str) -> Iterator[tuple[Any, str]]:
    """The objects and arrays in an object or array, each with its place, written as a pointer."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, (list, tuple)):
        pairs = enumerate(value)
    for key, inner in pairs:
        if isinstance(inner, (dict, list, tuple)):
            yield inner, f"{place}/{key}"


def subschemas(schema: dict[str, Any], place: str) -> Iterator[tuple[dict[str, Any], str]]:
    """`schema` and every schema in it, outermost first, each with its place."""
    waiting: list[tuple[Any, str]] = [(schema, place)]
    for inner, at in waiting:
        if not isinstance(inner, dict):
            waiting += members(inner, at)
            continue
        yield inner, at
        for value, below in members(inner, at):
            word = below[len(at) + 1 :]
            if word in NAMES and isinstance(value, dict):
                waiting += members(value, below)
            elif word not in DATA:
                waiting.append((value, below))
