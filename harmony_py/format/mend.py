"""What a malformed header most likely means.

Works on the text of a header with control tokens as marks, as `header` does. Every function returns what it
read together with the repairs that it took: pairs of a diagnostic code and the particulars.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from harmony_py.chat.messages import Role
from harmony_py.format.grammar import CHANNELS, SPELLED
from harmony_py.format.header import (
    BARE_CONTENT_TYPES,
    CHANNEL_MARK,
    CONSTRAIN_MARK,
    MARKS,
    ROLES,
    SPACE,
    Header,
    is_mark,
    spell,
)
from harmony_py.tokenizer.special import CONSTRAIN

if TYPE_CHECKING:
    from collections.abc import Iterable

Repairs: TypeAlias = "list[tuple[str, str]]"

_ANY_CHANNEL: Final = "|".join(CHANNELS)
_ANY_ROLE: Final = "|".join(ROLES)

_LONGEST_NAME: Final = 256
"""In characters. What is longer is no name that somebody gave a tool, and is left as it is."""

_SPLIT_RECIPIENT: Final = re.compile(
    f"(to=[^{SPACE}{MARKS}]{{1,{_LONGEST_NAME}}})[{MARKS}](?=\\.[^{SPACE}{MARKS}.])"
)
_MARKED_CHANNEL: Final = re.compile(f"{CHANNEL_MARK}[{SPACE}]*([^{SPACE}<{MARKS}]*)")
_MARKED_TYPE: Final = re.compile(f"{CONSTRAIN_MARK}[{SPACE}]*([^{SPACE}<{MARKS}]*)")
_GLUED_ADDRESS: Final = re.compile(f"({_ANY_CHANNEL})(to=.*)")
_ADDRESS: Final = re.compile(f"to=[{SPACE}]*([^{SPACE}]*)")
_REPEATED_ROLE: Final = re.compile(f"^(?:(?:{_ANY_ROLE})(?=$|[{SPACE}]|to=|{_ANY_ROLE})[{SPACE}]*)+")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][\w.\-]*")
_GLUED_SUFFIX: Final = re.compile(rf"[.\s]*(?:json|code|{_ANY_CHANNEL})$")


def mend(text: str, role: Role | None, known_tools: frozenset[str]) -> tuple[Header, Repairs]:
    """The fields of a header that `header.read` refuses. Reads something into any text."""
    repairs: Repairs = []
    text = _join_recipient(text, repairs)
    text, channel = _take_channel(text, repairs)
    text, content_type = _take_type(text)
    text = re.sub(f"[{MARKS}]", " ", text)
    text, role, name = _take_author(text, role, known_tools, repairs)
    text, recipient = _take_recipient(text, repairs)
    left = []
    for word in text.split():
        if channel is None and word in CHANNELS:
            channel = word
            repairs.append(("missing_channel", word))
        elif content_type is None and word in BARE_CONTENT_TYPES:
            content_type = word
        elif recipient is None and ("." in word.strip(".") or word in known_tools):
            recipient = word
            repairs.append(("bare_recipient", word))
        else:
            left.append(word)
    if left:
        repairs.append(("unexpected_words", " ".join(left)))
    if not repairs:
        repairs.append(("unusual_header", ""))
    return Header(role, name, recipient, channel, content_type, "channel_first"), repairs


def _join_recipient(text: str, repairs: Repairs) -> str:
    """`to=container<|channel|>.exec` is one recipient that a control token cuts in two."""
    joined = _SPLIT_RECIPIENT.sub(r"\1", text)
    if joined != text:
        repairs.append(("split_recipient", spell(text)))
    return joined


def _take_channel(text: str, repairs: Repairs) -> tuple[str, str | None]:
    """The text without channel markers, and of the channels the last known one, else the last one."""
    values: list[str] = []

    def take(found: re.Match[str]) -> str:
        value, rest = found[1], ""
        if glued := _GLUED_ADDRESS.fullmatch(value):
            value, rest = glued[1], glued[2]
        values.append(value)
        return f" {rest}"

    text = _MARKED_CHANNEL.sub(take, text)
    named = [value for value in values if value]
    if values and not named:
        repairs.append(("missing_channel", ""))
    if len(values) > 1:
        repairs.append(("repeated_channel", " ".join(values)))
    known = [value for value in named if _nearest_channel(value)]
    return text, (known or named)[-1] if named else None


def _take_type(text: str) -> tuple[str, str | None]:
    found = _MARKED_TYPE.search(text)
    if found is None:
        return text, None
    return f"{text[: found.start()]} {text[found.end() :]}", SPELLED[CONSTRAIN] + found[1]


def _take_author(
    text: str, role: Role | None, known_tools: frozenset[str], repairs: Repairs
) -> tuple[str, Role, str | None]:
    text = text.strip()
    if repeated := _REPEATED_ROLE.match(text):
        first = re.match(_ANY_ROLE, text)
        assert first is not None
        named = ROLES[first[0]]
        if len(repeated[0].split()) > 1 or repeated[0].strip() != first[0]:
            repairs.append(("repeated_start", repeated[0].strip()))
        return text[repeated.end() :], role or named, None
    if role is not None:
        return text, role, None
    word = re.match(f"[^{SPACE}]*", text)
    first_word = word[0] if word else ""
    head, colon, name = first_word.partition(":")
    if colon and head in ROLES:
        return text[len(first_word) :], ROLES[head], name or None
    if first_word in known_tools or (
        _IDENTIFIER.fullmatch(first_word)
        and first_word not in CHANNELS
        and first_word not in BARE_CONTENT_TYPES
        and not first_word.startswith("to=")
    ):
        repairs.append(("unknown_role", first_word))
        return text[len(first_word) :], Role.TOOL, first_word
    repairs.append(("missing_role", ""))
    return text, Role.ASSISTANT, None


def _take_recipient(text: str, repairs: Repairs) -> tuple[str, str | None]:
    """The last recipient, without quotes; one that ends in a dot names nothing."""
    found = _ADDRESS.findall(text)
    if len(found) > 1:
        repairs.append(("repeated_recipient", " ".join(found)))
    recipient = found[-1].strip("\"'`,;") if found else ""
    if recipient.endswith("."):
        repairs.append(("split_recipient", recipient))
        recipient = ""
    return _ADDRESS.sub(" ", text), recipient or None


# -- headers that are well formed but for a word ----------------------------------------------------------


_DOUBTFUL_RECIPIENT: Final = re.compile(
    rf"|{_ANY_CHANNEL}|.*\.|.*[\"'`,;].*|(?:{_ANY_ROLE})(?:to=.*|(?:{_ANY_ROLE})+)", re.DOTALL
)


def is_doubtful(header: Header) -> bool:
    """Whether a header that `header.read` takes says something that nobody means."""
    glued = header.channel is not None and _GLUED_ADDRESS.match(header.channel)
    address = header.recipient is not None and _DOUBTFUL_RECIPIENT.fullmatch(header.recipient)
    return bool(glued or address)


def normalise(header: Header, known_tools: frozenset[str]) -> tuple[Header, Repairs]:
    """`header` with a misspelt channel corrected, self-addressing dropped, and the recipient a known tool."""
    repairs: Repairs = []
    channel, recipient = header.channel, header.recipient
    if channel is not None and channel not in CHANNELS and (nearest := _nearest_channel(channel)):
        repairs.append(("misspelt_channel", channel))
        header = header._replace(channel=nearest)
    if header.role is Role.ASSISTANT and recipient is not None:
        if recipient == Role.ASSISTANT.value:
            repairs.append(("self_recipient", recipient))
            header = header._replace(recipient=None)
        elif known_tools and (tool := nearest_tool(recipient, known_tools)) != recipient:
            repairs.append(("tool_name", recipient))
            header = header._replace(recipient=tool)
    return header, repairs


def _nearest_channel(name: str) -> str | None:
    """The one known channel that `name` is, but for punctuation, its end, or two letters."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    if letters in CHANNELS:
        return letters
    begun = [known for known in CHANNELS if len(letters) >= 3 and known.startswith(letters)]
    near = begun or [known for known in CHANNELS if _within_two_edits(letters, known)]
    return near[0] if len(near) == 1 else None


def _within_two_edits(a: str, b: str) -> bool:
    if abs(len(a) - len(b)) > 2:
        return False
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            before, row[j] = row[j], min(before + (left != right), row[j] + 1, row[j - 1] + 1)
    return row[-1] <= 2


def nearest_tool(recipient: str, known_tools: Iterable[str]) -> str:
    """The known tool that `recipient` means, be it without its namespace or with something glued to it;
    `recipient` itself where there is none or more than one."""
    if len(recipient) > _LONGEST_NAME:
        return recipient
    known = set(known_tools)
    name = recipient
    while name and name not in known:
        namesakes = [tool for tool in known if tool.rpartition(".")[2] == name.removeprefix("functions.")]
        if len(namesakes) == 1:
            return namesakes[0]
        shorter = _GLUED_SUFFIX.sub("", name.rstrip("."))
        if shorter == name:
            break
        name = shorter
    return name if name in known else recipient


# -- headers that no `<|message|>` closed -----------------------------------------------------------------


class Split(NamedTuple):
    """Where in a header's tokens the content begins."""

    body: int
    skip: bool
    """A space that only separates the two stands at the beginning of the content."""


_TYPE_WORD: Final = "|".join(sorted(BARE_CONTENT_TYPES))
_GAP: Final = f"[{SPACE}]{{0,2}}"
_TO: Final = f"(?:{_GAP}to=[^{SPACE}{MARKS}{{]+)?"
_KNOWN_HEADER: Final = re.compile(
    f"{_GAP}(?:{_ANY_ROLE})?{_TO}"
    f"(?:{CHANNEL_MARK}{_GAP}(?:{_ANY_CHANNEL}))?{_TO}"
    f"(?:{_GAP}{CONSTRAIN_MARK}{_GAP}(?:{_TYPE_WORD})?|[{SPACE}](?:{_TYPE_WORD}))?"
)
_LONGEST_HEADER: Final = 64
"""In tokens, where content follows without a `<|message|>`."""


def split(texts: list[str]) -> Split | None:
    """The longest beginning of a header that makes one, by whole tokens; the rest is content.

    None if nobody can tell: there is no rest, or it begins with a control token.
    """
    body, length = 0, 0
    text = "".join(texts[:_LONGEST_HEADER])
    for i, piece in enumerate(texts[:_LONGEST_HEADER], 1):
        length += len(piece)
        if _KNOWN_HEADER.fullmatch(text, 0, length):
            body = i
    if texts[body : body + 1] == [CHANNEL_MARK]:
        body = _misspelt_channel_end(texts, body)
    rest = next((piece for piece in texts[body:] if piece), "")
    if not rest or is_mark(rest):
        return None
    return Split(body, skip=body > 0 and rest.startswith(" "))


def _misspelt_channel_end(texts: list[str], marker: int) -> int:
    """Where the channel ends whose marker stands at `marker`, if its first word comes close to a known one;
    else `marker`."""
    word = ""
    for i, piece in enumerate(texts[marker + 1 : marker + 1 + _LONGEST_CHANNEL], marker + 1):
        if piece[:1].isspace():
            return i if _nearest_channel(word) else marker
        word += piece
    return marker


_LONGEST_CHANNEL: Final = 8
"""In tokens."""
