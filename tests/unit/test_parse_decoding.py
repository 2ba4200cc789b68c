"""Ids to text: the fast ways beside the slow ones."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from harmony_py.format.decode import (
    FIRST_CONTROL,
    TextStream,
    _positions_by_plane,
    control_positions,
    is_valid,
    scan,
    to_bytes,
    to_text,
    token_bytes,
)
from harmony_py.format.parse import parse
from harmony_py.testing.strategies import any_stream, text_tokens
from harmony_py.tokenizer.special import LAST_RESERVED

_EDGES = (0x30000, FIRST_CONTROL, LAST_RESERVED + 1, 0x40000, 2**24, 2**31)
edges = st.sampled_from([0, 2**32 - 1, *_EDGES, *(edge - 1 for edge in _EDGES)])


@given(st.lists(edges | st.integers(0, 2**32 - 1) | st.integers(0, FIRST_CONTROL), max_size=80))
def test_control_tokens_are_found_alike(ids: list[int]) -> None:
    expected = [i for i, token in enumerate(ids) if token >= FIRST_CONTROL]
    assert control_positions(ids) == expected
    assert _positions_by_plane(ids, array("I", ids)) == expected
    assert scan(ids, any_size=False) == (ids, expected)


@given(any_stream)
def test_bytes_of_a_run_are_those_of_its_tokens(ids: list[int]) -> None:
    assert to_bytes(ids) == b"".join(map(token_bytes, ids))
    assert all(token_bytes(token) == "\ufffd".encode() for token in ids if not is_valid(token))


@given(any_stream | text_tokens, st.data())
def test_text_in_pieces_is_the_text(ids: list[int], data: st.DataObject) -> None:
    stream = TextStream(0)
    pieces = []
    while stream.done < len(ids):
        pieces.append(stream.advance(ids, data.draw(st.integers(stream.done + 1, len(ids)))))
        assert stream.text() == "".join(pieces)
    pieces.append(stream.finish())
    assert "".join(pieces) == stream.text() == to_text(ids)


@given(text_tokens)
def test_parsed_messages_are_what_validation_makes_of_them(ids: list[int]) -> None:
    """The messages are put together without pydantic; it must not find anything to change."""
    (message,) = parse([200005, 17196, 200008, *ids, 200007], "assistant").messages
    again = type(message).model_validate(message.model_dump())
    assert again == message
    assert again.model_fields_set == message.model_fields_set
    assert again.content[0].model_fields_set == message.content[0].model_fields_set
    assert message.model_copy(deep=True) == message
    assert message.model_dump_json() == again.model_dump_json()
