"""Streams of tokens: well-formed ones, malformed ones as models write them, and any at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hypothesis import assume
from hypothesis import strategies as st

from harmony_py.testing.implementation import Fields
from harmony_py.testing.strategies.text import prose
from harmony_py.testing.tokens import Stream, header, ids, spelled, terminator
from harmony_py.tokenizer import Tokenizer, special

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harmony_py.testing.mutate import Mutated

_TOKENIZER = Tokenizer.o200k_harmony()


def _encoded(text: str) -> list[int]:
    return _TOKENIZER.encode(text, disallowed_special=())


# -- well formed -------------------------------------------------------------------------------------------

text_tokens = st.one_of(
    st.text(max_size=20).map(_encoded),
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
).map(lambda parts: [token for part in parts for token in _encoded(part)])
"""Content that is UTF-8 in the end, characters split over tokens included."""

prose_tokens = prose.map(_encoded)
"""Content that cannot be taken for anything else, whatever goes missing around it."""

_RECIPIENTS = ["functions.f", "functions.get_weather", "browser.search", "python", "container.exec"]
_CHANNELS = ["analysis", "commentary", "final"]
_TYPES = ["<|constrain|>json", "json", "code", "<|constrain|>lark"]

_OTHERS = [
    Fields("user"),
    Fields("system"),
    Fields("developer"),
    Fields("tool", "functions.f", "commentary", "assistant"),
    Fields("tool", "browser.search", "analysis", "assistant"),
    Fields("tool", "python", recipient="assistant"),
]
_NAMED = [Fields("user", "bob"), Fields("tool", "functions.f", "commentary"), Fields("tool", "python")]
"""What our own renderer writes and `openai-harmony` cannot read."""


@st.composite
def _assistant_fields(draw: st.DrawFn) -> Fields:
    recipient = draw(st.sampled_from([None, *_RECIPIENTS]))
    channel = draw(st.sampled_from([None, *_CHANNELS]))
    content_type = draw(st.sampled_from([None, *_TYPES]))
    if recipient is None and channel is None:
        content_type = None
    return Fields("assistant", None, channel, recipient, content_type)


class _Said(NamedTuple):
    """A message, and how it is written down."""

    fields: Fields
    body: list[int]
    stop: int
    channel_first: bool
    gap: str


@st.composite
def _said(
    draw: st.DrawFn,
    fields: st.SearchStrategy[Fields],
    content: Callable[[Fields], st.SearchStrategy[list[int]]],
) -> _Said:
    told = draw(fields)
    body = draw(content(told))
    stop = draw(st.sampled_from([terminator(told), special.END, special.RETURN, special.CALL]))
    ordered = told.role == "assistant" and told.channel is not None and told.recipient is not None
    channel_first = ordered and not draw(st.booleans())
    gap = draw(st.sampled_from([" ", ""])) if told.content_type else " "
    return _Said(told._replace(text=spelled(body)), body, stop, channel_first, gap)


def _written(role: str | None, messages: list[_Said]) -> Stream:
    tokens: list[int] = []
    for i, each in enumerate(messages):
        prompted = i == 0 and role is not None
        tokens += header(each.fields, prompted=prompted, channel_first=each.channel_first, gap=each.gap)
        tokens += [*each.body, each.stop]
    return Stream(tokens, role, tuple(each.fields for each in messages))


@st.composite
def well_formed(
    draw: st.DrawFn,
    content: st.SearchStrategy[list[int]] = text_tokens,
    *,
    named: bool = False,
    complete: bool = False,
) -> Stream:
    """A stream that follows the format, the role it is to be parsed with, and what its messages are.

    With `named`, authors of every kind; unless `complete`, the last message's end is missing now and then.
    """
    role = draw(st.sampled_from(["assistant", None]))
    anyone = _assistant_fields() | st.sampled_from([*_OTHERS, *_NAMED] if named else _OTHERS)
    first = draw(_said(_assistant_fields() if role else anyone, lambda fields: content))
    more = draw(st.lists(_said(anyone, lambda fields: content), max_size=3))
    stream = _written(role, [first, *more])
    if not complete and draw(st.integers(0, 4)) == 4:
        stream.tokens.pop()
    return stream


# -- malformed ---------------------------------------------------------------------------------------------

_json_calls = st.just(Fields("assistant", None, "commentary", "functions.f", "<|constrain|>json"))
_code_calls = st.just(Fields("assistant", None, "analysis", "python", "code"))
_spoken = st.sampled_from(_CHANNELS).map(lambda channel: Fields("assistant", None, channel))
# A content type without a recipient is a pattern of its own: not every other one shall show it as well.
_odd_fields = _assistant_fields().map(lambda f: f if f.recipient else f._replace(content_type=None))
_own_fields = st.one_of(_spoken, _json_calls, _code_calls, _odd_fields)
_turn_fields = _own_fields | st.sampled_from(_OTHERS)
_json_tokens = st.sampled_from([_encoded("{}"), _encoded('{"a": 1}')])


def _plain_content(fields: Fields) -> st.SearchStrategy[list[int]]:
    """Content that nothing can be mistaken for."""
    return _json_tokens if fields.recipient == "functions.f" else prose_tokens


@st.composite
def malformed(draw: st.DrawFn, patterns: Sequence[str] | None = None) -> Mutated:
    """A stream as models write them, M1 to M27: a well-formed one, and what was done to it.

    With `patterns`, only these are done; streams that hold nothing that they could be done to are rejected.
    """
    from harmony_py.testing.mutate import candidates, mutate_with

    role = draw(st.sampled_from(["assistant", None]))
    first = draw(_said(_own_fields if role else _turn_fields, _plain_content))
    stream = _written(role, [first, *draw(st.lists(_said(_turn_fields, _plain_content), max_size=2))])
    found = candidates(stream, patterns)
    assume(found)
    return mutate_with(stream, [draw(st.sampled_from(found))], lambda options: draw(st.sampled_from(options)))


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
    *(" to=functions.f", " to=python", " to=", "to=assistant", " json", "json", " code", " ", "\n"),
    *("functions.f", "Hello", " world", '{"a": 1}', "é", ".exec", "?", " <", " of"),
]

header_atoms = st.one_of(
    st.sampled_from([[token] for token in _CONTROL]),
    st.sampled_from([_encoded(word) for word in _WORDS]),
)
"""What headers are made of, in any order."""

any_atoms = st.one_of(
    header_atoms,
    st.sampled_from(
        [
            [special.END_OF_TEXT],
            [special.START_OF_TEXT],
            [special.LAST_RESERVED - 1],
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
"""Streams that any parser has something to say about: no ids that are no tokens."""

roles = st.sampled_from(["assistant", None, "user", "tool"])
"""Whose message a stream continues; None for one that begins anew."""


@st.composite
def chunks(draw: st.DrawFn, stream: list[int]) -> list[list[int]]:
    """`stream`, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
