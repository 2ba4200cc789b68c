"""Stop strings: the content ends before the first, however it is cut, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from harmony_py.engines import Drawn
from harmony_py.serve.choice import Choice
from harmony_py.serve.runners import Asked
from harmony_py.testing import strategies as streams
from harmony_py.wire import Options
from harmony_py.wire.chat_completions import ChatStream, Reply, completion
from tests.serving import ENCODING
from tests.wire_oracle import accumulated, as_api, counting

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXTS = st.text(alphabet="abc\n", max_size=12)
STOPS = st.lists(st.text(alphabet="abc\n", min_size=1, max_size=4), min_size=1, max_size=3)


THINKS = ENCODING.encode("<|channel|>analysis<|message|>", allowed_special="all")
SAYS = ENCODING.encode("<|end|><|start|>assistant<|channel|>final<|message|>", allowed_special="all")
RETURNS = ENCODING.encode("<|return|>", allowed_special="all")


def spoken(thought: str, said: str, cut: bool) -> list[int]:
    """A turn, a token a character: pieces of stop strings come one by one."""
    thoughts, words = ([ENCODING.encode(each)[0] for each in text] for text in (thought, said))
    return [*THINKS, *thoughts, *SAYS, *words, *([] if cut else RETURNS)]


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    """The message of an answer's one choice."""
    return dict(answer["choices"][0]["message"])


def run(tokens: Sequence[int], stops: Sequence[str]) -> tuple[Choice, list[Any]]:
    options = Options("m", stop=tuple(stops))
    choice = Choice(0, Asked([1], {}), options, ENCODING)
    reply = Reply.to(options, reply_id="chatcmpl_1", created=1, new_id=counting())
    stream = ChatStream(reply)
    chunks = []
    for place, token in enumerate(tokens, 1):
        events, _ = choice.take(Drawn(token, "length" if place == len(tokens) else None))
        chunks += stream.feed(events)
        if choice.over:
            break
    chunks += stream.finish(choice.last_events(), choice.stop)
    whole = completion(
        Reply.to(options, reply_id="chatcmpl_1", created=1, new_id=counting()), [choice.turn()]
    )
    streamed = shown(accumulated(chunks)).get("content")
    assert (shown(as_api(whole))["content"] or "") == (streamed or "")
    return choice, chunks


@given(TEXTS, TEXTS, STOPS, st.booleans())
@example("", "aba", ["b", "aba"], False)
def test_the_content_ends_before_the_stop_string_that_is_complete_first(
    thought: str, said: str, stops: list[str], cut: bool
) -> None:
    choice, chunks = run(spoken(thought, said, cut), stops)
    places = [(said.find(stop) + len(stop), said.find(stop)) for stop in stops if stop in said]
    message = shown(accumulated(chunks))
    assert (message["content"] or "") == said[: min(places)[1] if places else len(said)]
    assert message.get("reasoning", "") == thought
    assert choice.stop == ("stop" if places else "length")


@given(streams.any_stream, st.sampled_from([["e"], [" "], ["<|", "a"], ["ing", "\n"]]))
def test_whatever_the_model_writes_the_whole_is_what_is_streamed(tokens: list[int], stops: list[str]) -> None:
    run(tokens, stops)


@given(TEXTS, STOPS)
def test_it_ends_as_soon_as_the_stop_string_is_there(said: str, stops: list[str]) -> None:
    tokens = spoken("", said, False)
    choice, _ = run(tokens, stops)
    ends = [said.find(stop) + len(stop) for stop in stops if stop in said]
    if ends:
        assert len(choice.tokens) == len(tokens) - 1 - len(said) + min(ends)
