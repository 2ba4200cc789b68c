"""The grammar's table, what is read from it, and its picture in the documentation."""

from __future__ import annotations

from pathlib import Path

from harmony_py.format.events import CODES
from harmony_py.format.grammar import TABLE, State, StreamState, expected, legal_control_tokens, markdown
from harmony_py.format.parse import StreamableParser
from harmony_py.tokenizer.special import CHANNEL, CONSTRAIN, MESSAGE, START, STOP_TOKENS

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")


def test_the_documented_table_is_the_grammars() -> None:
    assert markdown() in PAGE


def test_every_diagnostic_is_documented() -> None:
    for code, meaning in CODES.items():
        shown = meaning.replace("|", r"\|")
        assert f"| `{code}` | {shown} |" in PAGE


def test_every_state_can_be_reached_and_left() -> None:
    reached = {after for row in TABLE.values() for after in row.next.values()}
    assert reached == set(TABLE) == set(State)


def test_headers_end_in_message_and_content_in_a_stop_token() -> None:
    for state, row in TABLE.items():
        if row.stream_state is StreamState.HEADER:
            assert row.next[MESSAGE] is State.CONTENT
            assert row.text
        if row.stream_state is StreamState.CONTENT:
            assert legal_control_tokens(state) == STOP_TOKENS
    assert legal_control_tokens(State.BETWEEN) == {START}
    assert expected(State.BETWEEN) == ("<|start|>",)
    assert expected(State.CHANNEL) == ("text", "<|constrain|>", "<|message|>")


def test_strict_takes_exactly_the_legal_control_tokens_between_messages_and_in_content() -> None:
    parser = StreamableParser(None, None)
    for token, state in (
        (START, StreamState.HEADER),
        (173781, StreamState.HEADER),
        (CHANNEL, StreamState.HEADER),
    ):
        assert parser.process(token).state is state
    parser.process(17196).process(CONSTRAIN).process(4108).process(MESSAGE)
    assert parser.state is StreamState.CONTENT
    assert parser.current_content_type == "<|constrain|>json"
