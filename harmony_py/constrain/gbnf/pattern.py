"""What matches a regular expression, as plain text or within a JSON string; never a control token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harmony_py.constrain.gbnf.regex import Ranges, Reader, holds, other
from harmony_py.constrain.gbnf.rules import characters, one_of
from harmony_py.constrain.gbnf.text import quote
from harmony_py.errors import ConstraintError

if TYPE_CHECKING:
    from harmony_py.constrain.gbnf.rules import Rules

_ESCAPED: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
"""Characters that come as escapes where a pattern allows them. Other control characters do not come."""

_NOT_PLAIN: Final[Ranges] = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F))


def whole_text(pattern: str, where: str, rules: Rules) -> str:
    """Text that matches from its first to its last character."""
    seen: list[Ranges] = []

    def spell(ranges: Ranges) -> str:
        seen.append(ranges)
        return characters(ranges)

    found = Reader(pattern, where, rules, spell).read()
    if any(holds(ranges, "<") for ranges in seen) and any(holds(ranges, "|") for ranges in seen):
        raise ConstraintError(
            "allows '<' and '|', with which text could spell a control token: leave one of them out, such as "
            "by [^<] in place of '.'",
            where,
        )
    return found


def in_string(pattern: str, where: str, rules: Rules) -> str:
    """A JSON string that matches; the pattern has to be anchored at both ends."""
    if not pattern.startswith("^") or not pattern.endswith("$") or pattern.endswith("\\$"):
        raise ConstraintError("can be said only with ^ before it and $ behind it", where)

    def spell(ranges: Ranges) -> str:
        ways = [f'"{_in_grammar(text)}"' for text in _escapes(ranges)]
        plain = other((*other(ranges), *_NOT_PLAIN, (0x3C, 0x3C)))
        return one_of([*([characters(plain)] if plain else []), *ways] or _refuse(where))

    return f"{quote()} {Reader(pattern[1:-1], where, rules, spell).read()} {quote()}"


def _escapes(ranges: Ranges) -> list[str]:
    """What stands for the characters in `ranges` that are not written plainly; `<` could begin a marker."""
    return [*(text for one, text in _ESCAPED.items() if holds(ranges, one)), *_opening(ranges)]


def _opening(ranges: Ranges) -> list[str]:
    return ["\\u003c"] if holds(ranges, "<") else []


def _in_grammar(text: str) -> str:
    return text.replace("\\", "\\x5C").replace('"', "\\x22")


def _refuse(where: str) -> list[str]:
    raise ConstraintError("wants a character that no JSON string holds plainly", where)
