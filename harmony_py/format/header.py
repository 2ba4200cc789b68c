"""Headers to fields and fields to headers.

A header is read as text in which every control token stands as one lone surrogate, its *mark*. Text that was
decoded from UTF-8 can hold no such character, so nothing that is merely spelled like a control token is ever
taken for one, and plain string methods do the rest.
"""

from __future__ import annotations

import codecs
import functools
import itertools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from harmony_py.chat.messages import EVERYONE, HeaderStyle, Role
from harmony_py.format.decode import FIRST_CONTROL, is_valid, to_bytes, token_bytes
from harmony_py.format.grammar import SPELLED
from harmony_py.tokenizer.special import CHANNEL, CONSTRAIN, MESSAGE, START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.tokenizer import Segment

ROLES: Final = {role.value: role for role in Role}

BARE_CONTENT_TYPES: Final = frozenset({"json", "code"})
"""What the models write as a content type without `<|constrain|>`; as a recipient it names nothing."""

BUILT_IN_TOOLS: Final = frozenset({"python"})
"""Tools whose names have no namespace. Any other bare word that is no role is refused as an author."""

# The characters that Unicode calls White_Space. Python's own idea of a space has four more.
SPACE: Final = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
MARKS: Final = "\ud800-\udfff"
_WORD: Final = re.compile(f"[^{SPACE}]+")
_MARK: Final = re.compile(f"[{MARKS}]")


class Header(NamedTuple):
    """What a header says."""

    role: Role
    name: str | None = None
    recipient: str | None = None
    channel: str | None = None
    content_type: str | None = None
    style: HeaderStyle = "role_first"


class HeaderError(Exception):
    """A header that does not follow the format; the text says why, in `openai-harmony`'s words."""


# -- marks -----------------------------------------------------------------------------------------------


def mark(token: int) -> str:
    """The character that stands for a control token in a header's text."""
    return chr(0xD800 + token - FIRST_CONTROL)


CHANNEL_MARK: Final = mark(CHANNEL)
CONSTRAIN_MARK: Final = mark(CONSTRAIN)
_CHANNEL_VALUE: Final = re.compile(f"{CHANNEL_MARK}([^{SPACE}<{MARKS}]*)")


def spell(text: str) -> str:
    """`text` with the marks written out."""
    return _MARK.sub(lambda found: SPELLED[ord(found[0]) - 0xD800 + FIRST_CONTROL], text)


def is_mark(text: str) -> bool:
    """Whether `text` begins with a control token."""
    return _MARK.match(text) is not None


def token_texts(tokens: Sequence[int]) -> list[str]:
    """The text of each token, control tokens as marks. A character comes with the token that completes it;
    what is no UTF-8, or no token, is U+FFFD."""
    texts: list[str] = []
    pending = b""
    for token in tokens:
        if token >= FIRST_CONTROL and is_valid(token):
            texts.append(pending.decode("utf-8", "replace") + mark(token))
            pending = b""
        else:
            pending += token_bytes(token)
            text, used = codecs.utf_8_decode(pending, "replace")
            texts.append(text)
            pending = pending[used:]
    if pending:
        texts[-1] += pending.decode("utf-8", "replace")
    return texts


def _exact_text(tokens: Sequence[int]) -> str:
    if not all(map(is_valid, tokens)):
        raise HeaderError("could not decode header")
    try:
        return "".join(
            "".join(map(mark, run)) if control else to_bytes(list(run)).decode()
            for control, run in itertools.groupby(tokens, FIRST_CONTROL.__le__)
        )
    except UnicodeDecodeError:
        raise HeaderError("could not decode header") from None


# -- reading ---------------------------------------------------------------------------------------------


def read(tokens: tuple[int, ...], role: Role | None, known_tools: frozenset[str] = frozenset()) -> Header:
    """The fields of the header that `tokens` spell, the ids between `<|start|>` and `<|message|>`.

    With `role` the header continues after a role that is already known. `HeaderError` where the header is
    not well formed; its reasons read like `openai-harmony`'s.
    """
    if len(tokens) > _LONGEST_CACHED:
        return _read_text(_exact_text(tokens), role, known_tools)
    return _read_cached(tokens, role, known_tools)


_LONGEST_CACHED: Final = 32


# A model writes few different headers, again and again.
@functools.lru_cache(maxsize=1024)
def _read_cached(tokens: tuple[int, ...], role: Role | None, known_tools: frozenset[str]) -> Header:
    return _read_text(_exact_text(tokens), role, known_tools)


def _read_text(text: str, role: Role | None, known_tools: frozenset[str]) -> Header:
    before, channel, rest = _take_channel(text)
    words = _WORD.findall(rest.replace(CONSTRAIN_MARK, " " + CONSTRAIN_MARK))
    name = None
    if role is None:
        role, name = _take_author(words, known_tools)
    elif words and words[0] == role.value:
        del words[0]
    recipient, content_type = _take_address(words)
    for field in (name, recipient, content_type and content_type.removeprefix(CONSTRAIN_MARK)):
        if field and (_MARK.search(field) or "<|" in field):
            raise _unexpected(field)
    style: HeaderStyle = "role_first"
    if channel is not None and recipient is not None and recipient not in before:
        style = "channel_first"
    return Header(role, name, recipient, channel, content_type and spell(content_type), style)


def _take_channel(text: str) -> tuple[str, str | None, str]:
    """What stands before the channel marker, the channel, and the text without the two."""
    found = _CHANNEL_VALUE.search(text)
    if found is None:
        return text, None, text
    channel = found[1]
    if not channel:
        raise HeaderError("channel marker present but no channel value found in header")
    # A marker that says the same again is a stutter of the models' and changes nothing.
    rest = _CHANNEL_VALUE.sub(lambda again: "" if again[1] == channel else again[0], text)
    return text[: found.start()], channel, rest


def _take_author(words: list[str], known_tools: frozenset[str]) -> tuple[Role, str | None]:
    if not words or words[0].startswith("to="):
        raise HeaderError("message header did not contain a role")
    word = words.pop(0)
    if word in ROLES:
        # `tool` alone is a tool of that name, as it is for openai-harmony.
        return ROLES[word], word if word == Role.TOOL.value else None
    head, colon, name = word.partition(":")
    if colon and name and head in ROLES:
        return ROLES[head], name
    names_tool = "." in word or word in BUILT_IN_TOOLS or word in known_tools
    if words or (names_tool and not _MARK.search(word)):
        return Role.TOOL, word
    raise HeaderError(f"Unknown role: {spell(word)}")


def _take_address(words: list[str]) -> tuple[str | None, str | None]:
    """Recipient and content type; `HeaderError` on words that are neither."""
    content_type = None
    if words and not words[-1].startswith("to=") and (len(words) > 1 or _is_content_type(words[-1])):
        content_type = words.pop()
    recipient = words.pop() if words else None
    if words or (recipient is not None and _is_content_type(recipient)):
        raise _unexpected(" ".join(words) or str(recipient))
    return recipient and recipient.removeprefix("to="), content_type


def _is_content_type(word: str) -> bool:
    return word.startswith(CONSTRAIN_MARK) or word in BARE_CONTENT_TYPES


def _unexpected(words: str) -> HeaderError:
    quoted = spell(words).replace("\\", "\\\\").replace('"', '\\"')
    return HeaderError(f'unexpected tokens remaining in message header: Some("{quoted}")')


# -- writing ---------------------------------------------------------------------------------------------


def write(header: Header) -> list[Segment]:
    """The segments of a whole header, in its own style: `<|start|>`, the author, the rest, `<|message|>`."""
    to = f" to={header.recipient}" if header.recipient not in (None, EVERYONE) else ""
    channel: list[Segment] = [] if header.channel is None else [CHANNEL, header.channel]
    if header.style == "channel_first" and channel:
        address: list[Segment] = [*channel, to]
    else:
        address = [to, *channel]
    return [START, _author(header), *address, *_content_type(header.content_type), MESSAGE]


def _author(header: Header) -> str:
    if header.role is Role.TOOL:
        return header.name or ""
    return header.role.value if header.name is None else f"{header.role.value}:{header.name}"


def _content_type(content_type: str | None) -> list[Segment]:
    if content_type is None:
        return []
    spelled = SPELLED[CONSTRAIN]
    if content_type.startswith(spelled):
        return [" ", CONSTRAIN, content_type.removeprefix(spelled)]
    return [f" {content_type}"]
