"""What goes wrong inside contents, or everywhere: M20, M21, M23, M24."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harmony_py.format.decode import to_text
from harmony_py.testing.mutate.operator import Draft, Edit, Operator
from harmony_py.testing.tokens import CONSTRAIN_SPELLED, ids
from harmony_py.tokenizer.special import CHANNEL, LAST_RESERVED, MESSAGE, START, START_OF_TEXT

if TYPE_CHECKING:
    from harmony_py.testing.implementation import Fields
    from harmony_py.testing.mutate.operator import Choose, Place

_CUT_CHARACTER = 9552
"""A space and the first two bytes of an emoji."""


def _control_in_content(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    marker = choose([MESSAGE, CHANNEL])
    at = choose(range(place.body, place.end + 1))
    new = [*place.content[: at - place.body], marker, *place.content[at - place.body :]]
    meant = place.fields._replace(text=to_text(new))
    return Draft("M20", "a control token inside content", [Edit(at, at, [marker])], {i: [meant]})


def _header_in_content(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    follower = all_[i + 1]
    # The end of this message and the beginning of the next are missing, all but its channel marker.
    edit = Edit(place.end, follower.start + 2, [])
    return Draft("M20", "the next header inside content", [edit], literal=True)


def _m20(all_: list[Place], i: int, choose: Choose) -> Draft:
    glues = i < len(all_) - 1 and _is_glueable(all_[i + 1])
    return choose([_control_in_content, *([_header_in_content] if glues else [])])(all_, i, choose)


def _is_glueable(follower: Place) -> bool:
    return (
        follower.is_assistant
        and not follower.prompted
        and follower.tokens[0] == START
        and (follower.tokens[2] == CHANNEL)
    )


def _invalid_bytes(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    token, what = choose(
        [(_CUT_CHARACTER, "a character cut short"), (LAST_RESERVED + 1, "an id of no token")]
    )
    at = choose(range(place.body, place.end + 1))
    new = [*place.content[: at - place.body], token, *place.content[at - place.body :]]
    meant = place.fields._replace(text=to_text(new))
    return Draft("M21", what, [Edit(at, at, [token])], {i: [meant]})


def _stripped(all_: list[Place], i: int, choose: Choose) -> Draft:
    edits = [
        Edit(at, at + 1, [])
        for place in all_
        for at, token in enumerate(place.tokens, place.start)
        if token >= START_OF_TEXT
    ]
    becomes = {i: [_without_marker(place.fields)] for i, place in enumerate(all_)}
    return Draft("M23", "every control token left out", edits, becomes)


def _without_marker(fields: Fields) -> Fields:
    value = fields.content_type
    return fields._replace(content_type=value and value.removeprefix(CONSTRAIN_SPELLED))


def _can_be_stripped(all_: list[Place], i: int) -> bool:
    """Whether what is left still tells the messages apart, as it does where models wrote them."""
    return i == 0 and all(
        place.is_assistant
        and place.is_plain
        and place.tokens[0 if place.prompted else 2] == CHANNEL
        and (_is_json_call(place) if place.is_call else place.fields.content_type is None)
        for place in all_
    )


def _is_json_call(place: Place) -> bool:
    told = to_text([token for token in place.tokens[: place.body - place.start] if token < START_OF_TEXT])
    return place.is_call and told.endswith(" json") and place.fields.text.startswith("{")


def _odd_arguments(all_: list[Place], i: int, choose: Choose) -> Draft:
    place = all_[i]
    text = choose(
        [
            f"[{place.fields.text}]",
            f"{place.fields.text}]",
            "ls -R",
            f"```json\n{place.fields.text}\n```",
            "{'a': None}",
        ]
    )
    meant = place.fields._replace(text=text)
    edit = Edit(place.body, place.end, ids(text))
    return Draft("M24", "arguments that are no JSON object", [edit], {i: [meant]})


def _passes_json(all_: list[Place], i: int) -> bool:
    try:
        return all_[i].is_call and isinstance(json.loads(all_[i].fields.text), dict)
    except (ValueError, RecursionError):
        return False


OPERATORS = [
    Operator(
        "M20",
        "a control token inside content",
        frozenset({"control_in_content", "missing_end"}),
        lambda p, i: p[i].is_plain,
        _m20,
    ),
    Operator("M21", "invalid bytes and ids", frozenset(), lambda p, i: True, _invalid_bytes),
    Operator(
        "M23",
        "control tokens left out",
        frozenset(),
        _can_be_stripped,
        _stripped,
        whole=True,
    ),
    Operator("M24", "arguments that are no JSON", frozenset(), _passes_json, _odd_arguments),
]
