"""Where in a JSON text that is still being written its end stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PARTS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]:,]', re.DOTALL)


@dataclass
class _Open:
    """An object or array that is not yet closed, and which of its values comes."""

    key: str | int | None


def pointer(text: str) -> str:
    """The pointer to the value that the end of `text` is in, such as `/days/0`; empty in the outermost one.

    `text` is the beginning of some JSON. Names stand in it as they are written.
    """
    stack: list[_Open] = []
    name = ""
    for part in _PARTS.findall(text):
        top = stack[-1] if stack else None
        if part in "{[":
            stack.append(_Open(0 if part == "[" else None))
        elif part in "}]":
            del stack[-1:]
        elif top is None:
            continue
        elif part == ":":
            top.key = name
        elif part == ",":
            top.key = top.key + 1 if isinstance(top.key, int) else None
        else:
            name = part.strip('"')
    return "".join(f"/{each.key}" for each in stack if each.key is not None)
