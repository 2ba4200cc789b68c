"""JSON pointers within a schema, as its references write them: `#/$defs/city`."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

_INDEX: Final = re.compile(r"[0-9]{1,9}")
"""A place in a list. Python would take its time over more digits, or refuse them."""


def path_of(reference: str) -> list[str] | None:
    """The words of a pointer within the schema; None where it is no such pointer."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    return [word.replace("~1", "/").replace("~0", "~") for word in unquote(reference[1:]).split("/")[1:]]


def follow(value: Any, path: list[str]) -> Any:
    """What a pointer points to; None where it points nowhere."""
    for word in path:
        if isinstance(value, list) and _INDEX.fullmatch(word) and int(word) < len(value):
            value = value[int(word)]
        elif isinstance(value, dict) and word in value:
            value = value[word]
        else:
            return None
    return value
