"""Whatever a model draws and a tool returns, a transcript shows it all, and moves nothing on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import re
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from harmony_py.cli.terminal import harmless
from harmony_py.cli.transcript import COLUMN, Logged, Shown
from harmony_py.engines.chat import Chat, ToolAnswered
from harmony_py.format.events import ContentDelta, MessageEnd
from harmony_py.tokenizer.special import N_VOCAB
from tests.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from harmony_py.cli.transcript import Transcript
    from harmony_py.engines.chat import ChatEvent

CALL = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
ANSWER = "<|channel|>final<|message|>ok<|return|>"

completions = st.lists(
    st.lists(st.integers(0, N_VOCAB - 1) | st.integers(199_998, 200_012), max_size=30)
    | st.text("a\n\r\t\x1b[2J\x07\u202e世").map(lambda text: f"<|channel|>analysis<|message|>{text}<|end|>")
    | st.just(CALL),
    min_size=1,
    max_size=3,
)


def transcribed(
    transcript: Transcript, drawn: list[list[int] | str], result: str
) -> tuple[str, list[ChatEvent]]:
    """What is printed, and the events."""
    chat = Chat(ScriptedEngine(*drawn, *[ANSWER] * 8), tools={"f": lambda: result})
    events = list(chat.send("Hi"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        transcript.said("Hi")
        for event in events:
            transcript.event(event)
    return printed.getvalue(), events


@given(completions, st.text())
def test_all_is_shown_and_nothing_acts_on_the_terminal(drawn: list[list[int] | str], result: str) -> None:
    printed, events = transcribed(Shown(figures=lambda event: "figures"), drawn, result)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", printed)
    assert printed.endswith("\n")
    unfolded = printed.replace("\n" + " " * COLUMN, "\n")
    for event in events:
        text = event.message.text if isinstance(event, MessageEnd) else ""
        text = event.text if isinstance(event, ToolAnswered) else text
        assert harmless(text).encode("utf-8", "backslashreplace").decode() in unfolded


@given(completions, st.text())
def test_as_json_it_can_be_read_back(drawn: list[list[int] | str], result: str) -> None:
    printed, events = transcribed(Logged(), drawn, result)
    lines = [json.loads(line) for line in printed.split("\n")[:-1]]
    assert len(lines) == 1 + len(events)
    texts: dict[int, str] = {}
    for line, event in zip(lines[1:], events, strict=True):
        if isinstance(event, ContentDelta):
            texts[event.message_index] = texts.get(event.message_index, "") + line["text"]
        elif isinstance(event, MessageEnd):
            assert line["message"] == json.loads(json.dumps(event.message.to_dict()))
            assert texts.get(event.message_index, "") == event.message.text
