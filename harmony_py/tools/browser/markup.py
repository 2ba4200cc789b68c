"""HTML cut into tags and text, in time that grows with its length and no faster.

`html.parser` takes a minute for forty thousand characters of `<a <a <a`, and pages are hostile.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME: Final = re.compile(r"[A-Za-z][^\s/>]*")
_GAP: Final = re.compile(r"[\s/]*")
_ATTRIBUTE: Final = re.compile(r"[^\s/>][^\s/>=]*")
_EQUALS: Final = re.compile(r"\s*=\s*")
_BARE_VALUE: Final = re.compile(r"[^\s>]*")

RAW: Final = frozenset({"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"})
"""Elements that hold no tags."""


class Start(NamedTuple):
    name: str
    attributes: dict[str, str]


class End(NamedTuple):
    name: str


Piece: TypeAlias = "Start | End | str"


def pieces(source: str) -> Iterator[Piece]:
    """Tags and text in order, comments left out. What is cut short at the end is left out, as browsers do."""
    at = 0
    while at < len(source):
        bracket = source.find("<", at)
        if bracket < 0:
            bracket = len(source)
        if bracket > at:
            yield unescaped(source[at:bracket])
        following = source[bracket + 1 : bracket + 2]
        if following.isascii() and following.isalpha():
            tag, at = _start(source, bracket + 1)
            if tag is None:
                return
            yield tag
            if tag.name in RAW:
                text, at = _raw(source, at, tag.name)
                yield text if tag.name in ("script", "style") else unescaped(text)
                yield End(tag.name)
        elif following and following in "/!?":
            at = _end_of_markup(source, bracket)
            if following == "/" and (name := _NAME.match(source, bracket + 2)):
                yield End(name[0].lower())
        elif bracket < len(source):
            yield "<"
            at = bracket + 1
        else:
            at = bracket


def _end_of_markup(source: str, at: int) -> int:
    is_comment = source.startswith("<!--", at)
    end = source.find("-->", at + 2) if is_comment else source.find(">", at)
    return len(source) if end < 0 else end + (3 if is_comment else 1)


def _start(source: str, at: int) -> tuple[Start | None, int]:
    """The tag whose name is at `at`, and where it ends; None if it does not."""
    name = _NAME.match(source, at)
    assert name is not None  # begins with a letter
    attributes: dict[str, str] = {}
    at = name.end()
    while True:
        gap = _GAP.match(source, at)
        at = gap.end() if gap else at
        if at >= len(source):
            return None, at
        if source[at] == ">":
            return Start(name[0].lower(), attributes), at + 1
        attribute = _ATTRIBUTE.match(source, at)
        assert attribute is not None  # neither gap nor end
        value, at = _value(source, attribute.end())
        if value is None:
            return None, at
        attributes.setdefault(attribute[0].lower(), unescaped(value))


def _value(source: str, at: int) -> tuple[str | None, int]:
    """The value behind an attribute's name, and where it ends; None if its quotes are not closed."""
    equals = _EQUALS.match(source, at)
    if equals is None:
        return "", at
    at = equals.end()
    quote = source[at : at + 1]
    if quote and quote in "\"'":
        end = source.find(quote, at + 1)
        return (source[at + 1 : end], end + 1) if end >= 0 else (None, len(source))
    bare = _BARE_VALUE.match(source, at)
    return (bare[0], bare.end()) if bare else ("", at)


def _raw(source: str, at: int, name: str) -> tuple[str, int]:
    end = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(source, at)
    if end is None:
        return source[at:], len(source)
    return source[at : end.start()], _end_of_markup(source, end.start())


def unescaped(text: str) -> str:
    """The text with its character references read."""
    try:
        return html.unescape(text)
    except ValueError:
        # A number of more digits than Python reads: it is no character.
        return html.unescape(re.sub(r"&#[xX]?[0-9A-Fa-f]{9,}", "\ufffd", text))
