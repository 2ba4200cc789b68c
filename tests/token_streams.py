"""Token streams for the tests of the parser: well-formed ones, malformed ones, and a notation for both."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import openai_harmony
from hypothesis import strategies as st

from harmony_py import Tokenizer
from harmony_py.format.events import ContentDelta, Event
from harmony_py.tokenizer import special

tokenizer = Tokenizer.o200k_harmony()


def ids(text: str) -> list[int]:
    """The tokens of `text`, in which control tokens are spelled."""
    return tokenizer.encode(text, allowed_special="all")


@functools.cache
def upstream_encoding() -> openai_harmony.HarmonyEncoding:
    """`openai-harmony`'s encoding, which takes it a while to load."""
    return openai_harmony.load_harmony_encoding(openai_harmony.HarmonyEncodingName.HARMONY_GPT_OSS)


class Fields(NamedTuple):
    """A message without its identity, for comparing those of two libraries."""

    role: str
    name: str | None
    channel: str | None
    recipient: str | None
    content_type: str | None
    text: str


def fields(message: Any) -> Fields:
    """The fields of a message of ours or of `openai-harmony`'s."""
    return Fields(
        message.author.role.value,
        message.author.name,
        message.channel,
        message.recipient,
        message.content_type,
        "".join(part.text for part in message.content),
    )


def joined(events: list[Event]) -> list[Event]:
    """`events` with neighbouring deltas made one."""
    whole: list[Event] = []
    for event in events:
        last = whole[-1] if whole else None
        if isinstance(event, ContentDelta) and isinstance(last, ContentDelta):
            whole[-1] = last._replace(text=last.text + event.text)
        else:
            whole.append(event)
    return whole


# -- well formed -------------------------------------------------------------------------------------------

text_tokens = st.one_of(
    st.text(max_size=20).map(lambda text: tokenizer.encode(text, disallowed_special=())),
    st.lists(st.integers(0, special.START_OF_TEXT - 1), max_size=6),
)
"""Content: mostly UTF-8, sometimes any ids, which need not be."""

decodable_tokens = st.lists(
    st.one_of(
        st.sampled_from(
            ["a", " the", "\n\n", "é", "東", "👨‍👩‍👧", "🚀", "<|end|>", " {", '"x"', " to=f", "assistant"]
        ),
        st.text(max_size=4),
    ),
    max_size=8,
).map(lambda parts: [t for part in parts for t in tokenizer.encode(part, disallowed_special=())])
"""Content that is UTF-8 in the end, characters split over tokens included."""

_RECIPIENTS = ["functions.f", "functions.get_weather", "browser.search", "python", "container.exec"]
_CHANNELS = ["analysis", "commentary", "final"]
_TYPES = ["<|constrain|>json", " <|constrain|>json", " json", " code", "<|constrain|>lark"]


@st.composite
def _assistant_header(draw: st.DrawFn) -> str:
    """What may follow `<|start|>assistant`."""
    recipient = draw(st.sampled_from([None, *_RECIPIENTS]))
    to = f" to={recipient}" if recipient else ""
    channel = draw(st.sampled_from([None, *_CHANNELS]))
    content_type = draw(st.sampled_from([None, *_TYPES])) or ""
    if recipient is None and content_type and channel is None:
        content_type = ""
    if channel is None:
        return f"{to}{content_type}<|message|>"
    if draw(st.booleans()):
        return f"{to}<|channel|>{channel}{content_type}<|message|>"
    return f"<|channel|>{channel}{to}{content_type}<|message|>"


_other_header = st.sampled_from(
    [
        "system<|message|>",
        "developer<|message|>",
        "user<|message|>",
        "functions.f to=assistant<|channel|>commentary<|message|>",
        "browser.search to=assistant<|channel|>analysis<|message|>",
        "python to=assistant<|message|>",
    ]
)

_named_header = st.sampled_from(
    ["user:bob<|message|>", "functions.f<|channel|>commentary<|message|>", "python<|message|>"]
)
"""What our own renderer writes and `openai-harmony` cannot read."""


@st.composite
def well_formed(
    draw: st.DrawFn,
    content: st.SearchStrategy[list[int]] = text_tokens,
    *,
    named: bool = False,
) -> tuple[list[int], str | None]:
    """A stream that follows the format, and the role it is to be parsed with."""
    role = draw(st.sampled_from(["assistant", None]))
    others = st.one_of(_other_header, _named_header) if named else _other_header
    stream: list[int] = []
    for i in range(draw(st.integers(1, 4))):
        if i == 0 and role:
            header = draw(_assistant_header())
        elif draw(st.booleans()):
            header = "<|start|>assistant" + draw(_assistant_header())
        else:
            header = "<|start|>" + draw(others)
        stop = draw(st.sampled_from([special.END, special.RETURN, special.CALL]))
        stream += [*ids(header), *draw(content), stop]
    if draw(st.integers(0, 4)) == 0:
        stream.pop()
    return stream, role


# -- anything ----------------------------------------------------------------------------------------------

_CONTROL = [
    special.START,
    special.CHANNEL,
    special.CONSTRAIN,
    special.MESSAGE,
    special.END,
    special.RETURN,
    special.CALL,
]
_WORDS = [
    *("assistant", "user", "system", "tool", "analysis", "commentary", "final", "fina", "comment"),
    *(
        " to=functions.f",
        " to=python",
        " to=",
        "to=assistant",
        " json",
        "json",
        " code",
        " ",
        "\n",
        "functions.f",
    ),
    *("Hello", " world", '{"a": 1}', "é", ".exec", "?", " <", " of"),
]

header_atoms = st.one_of(
    st.sampled_from([[token] for token in _CONTROL]),
    st.sampled_from([tokenizer.encode(word) for word in _WORDS]),
)
"""What headers are made of, in any order."""

any_atoms = st.one_of(
    header_atoms,
    st.sampled_from(
        [
            [special.END_OF_TEXT],
            [special.START_OF_TEXT],
            [200_013],
            [special.LAST_RESERVED],
            [special.LAST_RESERVED + 1],
            [2**31],
            [-1],
            [2**63],
            [9552],  # a space and the first two bytes of an emoji
            ids("\u00a0"),
            ids("<|start|>assistant<|channel|>final<|message|>"),
            ids("<|channel|>commentary to=functions.f <|constrain|>json<|message|>"),
        ]
    ),
    st.integers().map(lambda i: [i]),
)

any_stream = st.lists(any_atoms, max_size=25).map(lambda atoms: [t for atom in atoms for t in atom])
"""Any list of ints at all, more often than not something like a stream."""

header_stream = st.lists(header_atoms, max_size=14).map(lambda atoms: [t for atom in atoms for t in atom])
"""Streams that `openai-harmony` has something to say about: no ids that are no tokens."""

roles = st.sampled_from(["assistant", None, "user", "tool"])


@st.composite
def chunks(draw: st.DrawFn, stream: list[int]) -> list[list[int]]:
    """`stream`, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
