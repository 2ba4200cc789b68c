"""What goes wrong inside headers: M4 to M9, M13, M14, M17, M22, M26."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.format.grammar import CHANNELS
from harmony_py.testing.mutate.operator import Draft, Edit, Operator
from harmony_py.testing.tokens import CONSTRAIN_SPELLED, author, content_type, of_segments, spelled
from harmony_py.tokenizer.special import CHANNEL, CONSTRAIN, MESSAGE, START, START_OF_TEXT

if TYPE_CHECKING:
    from harmony_py.testing.implementation import Fields
    from harmony_py.testing.mutate.operator import Choose, Place
    from harmony_py.tokenizer import Segment

_MISSPELT = {
    "analysis": ["analysi", "anaylsis"],
    "commentary": ["comment", "\u2013\u2013commentary", "commentary\u2013"],
    "final": ["fina", "Final", "finall"],
}
_JSON = CONSTRAIN_SPELLED + "json"


def _rewritten(
    pattern: str, what: str, place: Place, i: int, segments: list[Segment], meant: Fields
) -> Draft:
    """The header's place taken by one that says `segments` behind the author."""
    own: list[Segment] = [] if place.prompted else [START, author(place.fields)]
    tokens = of_segments([*own, *segments, MESSAGE])
    return Draft(pattern, what, [Edit(place.start, place.body, tokens)], {i: [meant]})


def _channel(fields: Fields) -> list[Segment]:
    return [] if fields.channel is None else [CHANNEL, fields.channel]


def _is_call(all_: list[Place], i: int) -> bool:
    return all_[i].is_call


def _has_channel(all_: list[Place], i: int) -> bool:
    return all_[i].is_assistant and all_[i].fields.channel is not None


def _can_be_misspelt(all_: list[Place], i: int) -> bool:
    return all_[i].is_assistant and all_[i].fields.channel in _MISSPELT


def _is_namespaced(all_: list[Place], i: int) -> bool:
    return all_[i].is_call and "." in (all_[i].fields.recipient or "")


def _says_something(all_: list[Place], i: int) -> bool:
    return all_[i].is_assistant and all_[i].fields.recipient is None


def _self_recipient(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    meant = place.fields._replace(channel="commentary", content_type=None)
    doubled: list[Segment] = [CHANNEL, "commentary?"] if choose([False, True]) else []
    segments: list[Segment] = [CHANNEL, "commentary", " to=assistant", *doubled]
    draft = _rewritten("M4", "addressed to the assistant itself", place, i, segments, meant)
    return draft._replace(literal=not doubled)


def _repeated_channel(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    second = choose([place.fields.channel or "", *CHANNELS])
    to: list[Segment] = [f" to={place.fields.recipient}"] if place.fields.recipient else []
    segments = [*_channel(place.fields), *to, CHANNEL, second, *content_type(place.fields.content_type)]
    # Which of two channels counts, nobody can tell.
    meant = place.fields._replace(channel=second if second == place.fields.channel else None)
    return _rewritten("M5", f"a second channel marker, {second}", place, i, segments, meant)


def _split_recipient(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    namespace, _, name = (place.fields.recipient or "").partition(".")
    segments: list[Segment] = [*_channel(place.fields), f" to={namespace}", CHANNEL, f".{name}"]
    meant = place.fields._replace(content_type=None)
    return _rewritten("M6", "a channel marker inside the recipient", place, i, segments, meant)


def _type_alone(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    value, gap = choose([(_JSON, " "), (_JSON, ""), ("json", " ")])
    meant = place.fields._replace(content_type=value)
    segments = [*_channel(place.fields), *content_type(value, gap)]
    return _rewritten("M7", "a content type without a recipient", place, i, segments, meant)


def _odd_constrain(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    segments = [*_channel(place.fields), f" to={place.fields.recipient} ", CONSTRAIN, " json"]
    meant = place.fields._replace(content_type=_JSON)
    return _rewritten("M8", "a space behind <|constrain|>", place, i, segments, meant)


def _glued_name(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    recipient = place.fields.recipient or ""
    glued = recipient + choose(["json", "..commentary"])
    segments = [*_channel(place.fields), f" to={glued}", *content_type(place.fields.content_type)]
    draft = _rewritten("M9", f"{glued} for {recipient}", place, i, segments, place.fields)
    return draft._replace(tools=(recipient,), literal=True)


def _empty_channel(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    spaced = choose([False, True])
    segments: list[Segment] = [CHANNEL, *([f" {place.fields.channel}"] if spaced else [])]
    channel = place.fields.channel if spaced else None
    meant = place.fields._replace(channel=channel, content_type=None)
    what = "a space behind <|channel|>" if spaced else "nothing behind <|channel|>"
    return _rewritten("M13", what, place, i, segments, meant)


def _misspelt_channel(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    name = choose(_MISSPELT[place.fields.channel or ""])
    to: list[Segment] = [f" to={place.fields.recipient}"] if place.fields.recipient else []
    segments = [CHANNEL, name, *to, *content_type(place.fields.content_type)]
    what = f"{name} for {place.fields.channel}"
    return _rewritten("M14", what, place, i, segments, place.fields)._replace(literal=True)


def _bare_name(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    recipient = place.fields.recipient or ""
    bare = recipient.rpartition(".")[2]
    segments = [*_channel(place.fields), f" to={bare}", *content_type(place.fields.content_type)]
    draft = _rewritten("M17", f"{bare} for {recipient}", place, i, segments, place.fields)
    return draft._replace(tools=(recipient,), literal=True)


def _spelled_markers(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    own = 0 if place.prompted else 2
    text = spelled(place.tokens[own : place.body - place.start])
    tokens = of_segments([text])
    # What is told by ordinary tokens is text: no reader of tokens may take it for structure.
    meant = place.fields._replace(channel=None, recipient=None, content_type=None)
    meant = meant._replace(text=text + place.fields.text)
    edit = Edit(place.start + own, place.body, tokens)
    return Draft("M22", "the header's control tokens spelled out", [edit], {i: [meant]})


def _unicode_space(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    space = choose(["\u00a0", "\u202f"])
    type_ = content_type(place.fields.content_type)
    segments: list[Segment] = [f"{space}to={place.fields.recipient}", *_channel(place.fields), *type_]
    return _rewritten("M26", f"U+{ord(space):04X} for a space", place, i, segments, place.fields)


def _spells_something(all_: list[Place], i: int) -> bool:
    place = all_[i]
    first = place.tokens[0 if place.prompted else 2]
    return place.is_assistant and place.is_plain and first >= START_OF_TEXT


OPERATORS = [
    Operator(
        "M4",
        "the assistant addresses itself",
        frozenset({"self_recipient"}),
        _says_something,
        _self_recipient,
    ),
    Operator(
        "M5", "a second channel marker", frozenset({"repeated_channel"}), _has_channel, _repeated_channel
    ),
    Operator(
        "M6",
        "a control token in the recipient",
        frozenset({"split_recipient"}),
        lambda p, i: _is_namespaced(p, i) and _has_channel(p, i),
        _split_recipient,
    ),
    Operator(
        "M7",
        "a content type without a recipient",
        frozenset(),
        lambda p, i: _says_something(p, i) and _has_channel(p, i) and p[i].fields.content_type is None,
        _type_alone,
    ),
    Operator("M8", "<|constrain|> and a space", frozenset({"unusual_header"}), _is_call, _odd_constrain),
    Operator("M9", "something glued to a tool's name", frozenset({"tool_name"}), _is_namespaced, _glued_name),
    Operator(
        "M13",
        "a channel marker without a channel",
        frozenset({"missing_channel", "unusual_header"}),
        lambda p, i: _says_something(p, i) and _has_channel(p, i),
        _empty_channel,
    ),
    Operator(
        "M14", "a misspelt channel", frozenset({"misspelt_channel"}), _can_be_misspelt, _misspelt_channel
    ),
    Operator("M17", "a tool without its namespace", frozenset({"tool_name"}), _is_namespaced, _bare_name),
    Operator(
        "M22",
        "control tokens spelled out",
        frozenset({"missing_header", "missing_message", "noise"}),
        _spells_something,
        _spelled_markers,
    ),
    Operator("M26", "a space that is not ASCII's", frozenset(), _is_call, _unicode_space),
]
