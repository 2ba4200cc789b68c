"""Streams of tokens: well-formed ones, malformed ones as models write them, and any at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

from harmony_py.testing.implementation import Fields
from harmony_py.testing.strategies.text import prose
from harmony_py.testing.tokens import Stream, header, ids, spelled, terminator
from harmony_py.tokenizer import Tokenizer, special

if TYPE_CHECKING:
    from collections.abc import Sequence

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


_ASSISTANTS = [
    Fields("assistant", None, channel, recipient, content_type)
    for recipient in [None, *_RECIPIENTS]
    for channel in [None, *_CHANNELS]
    for content_type in [None, *(_TYPES if recipient or channel else [])]
]


class _Frame(NamedTuple):
    """A message without its content, and how it is written down."""

    fields: Fields
    stop: int
    channel_first: bool
    gap: str


def _frames(messages: list[Fields]) -> st.SearchStrategy[_Frame]:
    """Every way to write these, as one choice: a message shrinks the better the fewer choices it takes."""
    return st.sampled_from(
        [
            _Frame(fields, stop, channel_first, gap)
            for fields in messages
            for gap in ([" ", ""] if fields.content_type else [" "])
            for channel_first in ([True, False] if _has_an_order(fields) else [False])
            for stop in dict.fromkeys([terminator(fields), special.END, special.RETURN, special.CALL])
        ]
    )


def _has_an_order(fields: Fields) -> bool:
    return fields.role == "assistant" and fields.channel is not None and fields.recipient is not None


def _written(role: str | None, messages: list[tuple[_Frame, list[int]]]) -> Stream:
    """The stream; it begins anew if its first message is not that of `role`."""
    role = role if messages[0][0].fields.role == role else None
    tokens: list[int] = []
    told: list[Fields] = []
    for i, (frame, body) in enumerate(messages):
        prompted = i == 0 and role is not None
        tokens += header(frame.fields, prompted=prompted, channel_first=frame.channel_first, gap=frame.gap)
        tokens += [*body, frame.stop]
        told.append(frame.fields._replace(text=spelled(body)))
    return Stream(tokens, role, tuple(told))


_prompts = st.sampled_from(["assistant", None])
_assistant_frames = _frames(_ASSISTANTS)
_frames_of_anyone = _assistant_frames | _frames(_OTHERS)
_frames_of_named = _assistant_frames | _frames([*_OTHERS, *_NAMED])


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
    message = st.tuples(_frames_of_named if named else _frames_of_anyone, content)
    stream = _written(draw(_prompts), draw(st.lists(message, min_size=1, max_size=4)))
    if not complete and draw(st.integers(0, 4)) == 4:
        stream.tokens.pop()
    return stream


# -- malformed ---------------------------------------------------------------------------------------------

_json_call = Fields("assistant", None, "commentary", "functions.f", "<|constrain|>json")
_code_call = Fields("assistant", None, "analysis", "python", "code")
_spoken = [Fields("assistant", None, channel) for channel in _CHANNELS]
# A content type without a recipient is a pattern of its own: not every other one shall show it as well.
_odd = [fields for fields in _ASSISTANTS if fields.recipient or not fields.content_type]
_turn_frames = st.one_of(*map(_frames, (_spoken, [_json_call], [_code_call], _odd, _OTHERS)))
_json_tokens = st.sampled_from([_encoded("{}"), _encoded('{"a": 1}')])


def _with_plain_content(frame: _Frame) -> st.SearchStrategy[tuple[_Frame, list[int]]]:
    """With content that nothing can be mistaken for."""
    content = _json_tokens if frame.fields.recipient == "functions.f" else prose_tokens
    return st.tuples(st.just(frame), content)


def _small(role: str | None, *messages: Fields) -> Stream:
    frames = [_Frame(fields, terminator(fields), True, " ") for fields in messages]
    return _written(role, [(frame, _encoded(frame.fields.text)) for frame in frames])


_thought = Fields("assistant", None, "analysis", text="Hm.")
_call = _json_call._replace(text="{}")
_answer = Fields("assistant", None, "final", text="Hi.")
_SMALL = [
    *(
        _small("assistant", *messages)
        for messages in ([_answer], [_call], [_thought, _answer], [_call, _answer])
    ),
    _small(None, _answer),
]
"""A stream for every pattern, smallest first."""


@st.composite
def malformed(draw: st.DrawFn, patterns: Sequence[str] | None = None) -> Mutated:
    """A stream as models write them, M1 to M27: a well-formed one, and what was done to it.

    With `patterns`, only these are done.
    """
    from harmony_py.testing.mutate import candidates, mutate_with

    message = _turn_frames.flatmap(_with_plain_content)
    stream = _written(draw(_prompts), draw(st.lists(message, min_size=1, max_size=3)))
    found = candidates(stream, patterns)
    if not found:
        # Nothing in it that could be broken so. Of the small ones, the first that has something will do.
        stream = next(small for small in _SMALL if candidates(small, patterns))
        found = candidates(stream, patterns)
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
