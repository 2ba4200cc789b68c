"""Parsing text: like parsing tokens where they are spelled out, and the same however the text is cut."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.format.events import ContentDelta, MessageEnd
from harmony_py.format.parse import parse
from harmony_py.format.text import Markers, TextParser, parse_text
from harmony_py.testing.strategies import decodable_tokens, well_formed
from tests.token_streams import fields, joined, tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.testing.tokens import Stream

words = st.sampled_from(
    [
        *(
            "<|start|>",
            "<|channel|>",
            "<|message|>",
            "<|end|>",
            "<|return|>",
            "<|constrain|>",
            "<|endoftext|>",
        ),
        *(
            "assistant",
            "analysis",
            "final",
            "commentary",
            "assistantfinal",
            "assistantcommentary to=functions.f",
        ),
        *(
            " to=functions.f",
            " json",
            " code",
            "json",
            '{"a": 1}',
            " ",
            "\n\n",
            "<",
            "<|",
            "ass",
            "é👩‍👧",
            " the",
            "x" * 40,
        ),
    ]
)
texts = st.lists(words | st.text(max_size=5), max_size=20).map("".join)


def parsed(pieces: list[str], markers: Markers) -> tuple[Any, ...]:
    parser = TextParser(markers=markers)
    events = [event for piece in pieces for event in parser.feed(piece)]
    events += parser.finish()
    plain = [
        e._replace(message=fields(e.message)) if isinstance(e, MessageEnd) else e for e in joined(events)
    ]
    assert all(message.source is None for message in parser.messages)
    return plain, parser.diagnostics, parser.parser.tokens


@pytest.mark.parametrize("markers", ["spelled", "stripped"])
@given(data=st.data(), text=texts)
def test_it_does_not_matter_how_text_is_cut(markers: Markers, data: st.DataObject, text: str) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = parsed([text], markers)
    assert parsed(pieces, markers) == whole
    assert parsed(list(text), markers) == whole


@pytest.mark.parametrize("markers", ["spelled", "stripped"])
@given(text=texts)
def test_deltas_are_the_text_of_the_messages(markers: Markers, text: str) -> None:
    parser = TextParser(markers=markers)
    events = [*parser.feed(text), *parser.finish()]
    for index, message in enumerate(parser.messages):
        deltas = [e.text for e in events if isinstance(e, ContentDelta) and e.message_index == index]
        assert "".join(deltas) == message.text


@given(well_formed(decodable_tokens))
def test_spelled_out_tokens_parse_like_the_tokens(case: Stream) -> None:
    tokens, role, _ = case
    expected = parse(tokens, role, policy="recover").messages
    # Content that spells markers is exactly what text cannot tell from structure.
    if not any("<|" in message.text or "assistant" in message.text for message in expected):
        assert parse_text(tokenizer.decode(tokens), role).messages == expected


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_without_markers_is_one_message_byte_for_byte(text: str) -> None:
    content = f"<|channel|>final<|message|>{text}<|return|>"
    if "<|" not in text and "assistant" not in text:
        assert [m.text for m in parse_text(content).messages] == [text]


@pytest.fixture
def no_collector() -> Iterator[None]:
    """No garbage collection: it would walk all that other tests have left, more often for more objects."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_long_text_takes_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        start = time.process_time()
        parse_text("<|channel|>analysis<|message|>x" + "assistant<|channel|>final<|message|>x" * count)
        return time.process_time() - start

    seconds(10)
    assert seconds(4000) < 35 * max(seconds(400), 0.001)


def test_a_strict_text_parser_refuses_what_a_strict_parser_does() -> None:
    with pytest.raises(ValueError, match="Unexpected token"):
        parse_text("<|channel|>final<|message|>Hi.<|end|>there", policy="strict")
