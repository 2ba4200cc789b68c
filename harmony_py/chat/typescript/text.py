"""The small texts inside a declaration: comments, literals, keys."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""What `json.loads` gives. Schemas come from anywhere, so nothing more can be promised of them."""

_LINE_BREAK = re.compile(r"\r\n|[\n\r\u2028\u2029]")
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_ESCAPES = {ord("\n"): "\\n", ord("\r"): "\\r", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def lines(text: str) -> list[str]:
    """The lines of `text`, by every line break that TypeScript knows; no empty line at the end."""
    found = _LINE_BREAK.split(text)
    return found[:-1] if found[-1] == "" else found


def comment(text: str, indent: str = "") -> str:
    """`text` as a `//` comment. Each of its lines is one, so that no text can leave its comment."""
    if not _LINE_BREAK.search(text):
        return f"{indent}// {text}"
    return "\n".join([f"{indent}// {line}" for line in lines(text) or [""]])


def trailing_comment(pieces: list[str], indent: str) -> str:
    """A comment at the end of a line, continued on lines of its own if it has several; "" for no pieces."""
    return " " + comment(" ".join(pieces), indent).removeprefix(indent) if pieces else ""


def block_comment(text: str, note: str) -> str:
    """`text /* note */`."""
    return f"{text} /* {literal(note)[1:-1].replace('*/', '* /')} */"


def on_one_line(text: str) -> str:
    """`text` with its line breaks spelled as escapes."""
    return text.translate(_ESCAPES) if _LINE_BREAK.search(text) else text


def literal(value: Json) -> str:
    """Compact JSON on one line, floats as serde_json prints them."""
    if isinstance(value, dict):
        items = [f"{literal(key)}:{literal(item)}" for key, item in value.items()]
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(literal, value)) + "]"
    if isinstance(value, float):
        return _float(value)
    return on_one_line(_ENCODE(value))


def property_key(name: str) -> str:
    """A property's name, in quotes where TypeScript wants them."""
    return name if _IDENTIFIER.fullmatch(name) else literal(name)


def _float(value: float) -> str:
    if value == 0 or 1e-5 <= abs(value) < 1e16:
        return format(Decimal(repr(value)), "f")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}"
