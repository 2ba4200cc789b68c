"""What a kernel's messages show. The kernel runs anybody's code: they may be anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmony_py.tools.output import Output


def add_message(output: Output, kind: str, content: dict[str, Any]) -> None:
    """Add what there is to read in a message of this kind, if anything."""
    if kind == "stream":
        output.add(_text(content.get("text")))
    elif kind in ("execute_result", "display_data"):
        data = content.get("data")
        output.add_line(_text(data.get("text/plain")) if isinstance(data, dict) else "")
    elif kind == "error":
        lines = content.get("traceback")
        output.add_line("\n".join(filter(None, map(_text, lines))) if isinstance(lines, list) else "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
