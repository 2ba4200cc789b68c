r"""Text that holds no control token, be it in one piece or spelled.

In a grammar of llama.cpp's a character matches the spelling of whatever token comes, control tokens too. So
text is written such that `<|word|>` does not fit: five rules remember how much of one is there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from harmony_py.constrain.gbnf.rules import NOTHING, characters

if TYPE_CHECKING:
    from harmony_py.constrain.gbnf.rules import Range, Rules

SPELLED: Final = re.compile(r"<\|[a-z0-9_]+\|>")
"""Every control token is spelled like this."""

_WORD: Final[list[Range]] = [(0x30, 0x39), (0x5F, 0x5F), (0x61, 0x7A)]
_OPEN, _CLOSE, _BAR = ((ord(character), ord(character)) for character in "<>|")

_NEVER: Final[list[Range]] = [(0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F)]
"""What a JSON string escapes, and DEL, which our masks do not take either."""


def any_text(rules: Rules) -> str:
    """Any text at all but that."""
    return _unmarked(rules, "text", [], [], NOTHING)


def string(rules: Rules) -> str:
    """Any JSON string but that; `<` may always be written as an escape."""
    return f'"\\x22" {_unmarked(rules, "characters", _NEVER, [escape(rules)], quote())}'


def quote() -> str:
    return '"\\x22"'


def character(rules: Rules) -> str:
    """One character of a JSON string whose length is limited. `<` comes as an escape."""
    return rules.define("character", lambda: f"{characters([*_NEVER, _OPEN], other=True)} | {escape(rules)}")


def escape(rules: Rules) -> str:
    """A character of a JSON string that is written with a backslash; surrogates as pairs only."""
    rules.define("hex", lambda: "[0-9a-fA-F]")
    plain = '"\\x5C" [\\x22\\x5Cbfnrt]'
    unit = '"\\x5Cu" ([0-9a-cA-CefEF] hex hex hex | [dD] [0-7] hex hex)'
    pair = '"\\x5Cu" [dD] [89abAB] hex hex "\\x5Cu" [dD] [c-fC-F] hex hex'
    return rules.define("escape", lambda: f"{plain} | {unit} | {pair}")


def _unmarked(rules: Rules, name: str, never: list[Range], besides: list[str], end: str) -> str:
    """Five rules, for what has been written of `<|word|>`: nothing, `<`, `<|`, `<|w`, `<|w|`."""
    opened, barred, word, closing = (f"{name}-{state}" for state in ("open", "bar", "word", "close"))
    again = [f'"<" {opened}', *(f"{other} {name}" for other in besides), end]

    def ways(*first: str, left_out: list[Range]) -> str:
        plain = f"{characters([_OPEN, *left_out, *never], other=True)} {name}"
        return " | ".join([*first, plain, *again])

    rules.define(name, lambda: ways(left_out=[]))
    rules.define(opened, lambda: ways(f'"|" {barred}', left_out=[_BAR]))
    rules.define(barred, lambda: ways(f"{characters(_WORD)} {word}", left_out=_WORD))
    rules.define(word, lambda: ways(f"{characters(_WORD)} {word}", f'"|" {closing}', left_out=[_BAR, *_WORD]))
    rules.define(closing, lambda: ways(left_out=[_CLOSE]))
    return name
