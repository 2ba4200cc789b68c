"""Many clients at once: nothing lost, nothing mixed, and who goes away is not drawn for any longer."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from tests.serving import ANSWER, Says, last_words, serving, until

if TYPE_CHECKING:
    from collections.abc import Callable

CROWD = 64


def long_answer(prompt: str) -> str:
    """An answer that nobody else gets, of some length, and all of whose parts say whose it is."""
    marker = last_words(prompt)
    thought = " ".join(f"{marker}-thought-{i}" for i in range(10))
    words = " ".join(f"{marker}-{i}" for i in range(40))
    return (
        f"<|channel|>analysis<|message|>{thought}<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{words}<|return|>"
    )


def expected(marker: str) -> tuple[str, str]:
    return (
        " ".join(f"{marker}-thought-{i}" for i in range(10)),
        " ".join(f"{marker}-{i}" for i in range(40)),
    )


@pytest.mark.parametrize("slots", [1, 7, 64])
def test_everybody_gets_an_answer_and_it_is_their_own(slots: int) -> None:
    async def everybody(url: str) -> None:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{url}/v1", max_retries=0) as client:

            async def chat(marker: str) -> tuple[str, str]:
                stream = await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": marker}], stream=True
                )
                deltas = [chunk.choices[0].delta async for chunk in stream]
                reasoning = "".join(getattr(delta, "reasoning", None) or "" for delta in deltas)
                return reasoning, "".join(delta.content or "" for delta in deltas)

            async def responses(marker: str) -> tuple[str, str]:
                async with client.responses.stream(model="m", input=marker) as stream:
                    whole = await stream.get_final_response()
                return whole.output[0].content[0].text, whole.output_text  # type: ignore[union-attr, index]

            ways: list[Callable[[str], Any]] = [chat, responses]
            markers = [f"client{i}" for i in range(CROWD)]
            found = await asyncio.gather(*(ways[i % 2](marker) for i, marker in enumerate(markers)))
            assert found == [expected(marker) for marker in markers]

    engine = Says(long_answer)
    with serving(engine, slots=slots) as server:
        asyncio.run(everybody(server.url))
        counted = httpx2.get(server.url + "/metrics").text
    assert f"harmony_py_time_to_first_token_seconds_count {CROWD}\n" in counted
    assert f"harmony_py_output_tokens_total {engine.drawn}\n" in counted
    assert "harmony_py_cancelled_total 0\n" in counted
    assert "harmony_py_running 0\n" in counted


ENDLESS = "<|channel|>final<|message|>" + "and so on " * 100_000
CHAT: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [("chat/completions", CHAT), ("responses", {"model": "m", "input": "Hi."})],
)
@pytest.mark.parametrize("stream", [False, True])
def test_who_goes_away_ends_the_drawing(path: str, body: dict[str, Any], stream: bool) -> None:
    engine = Says(ENDLESS, gate := threading.Event())
    with serving(engine) as server:

        def ask() -> None:
            with (
                httpx2.Client(timeout=httpx2.Timeout(20, read=0.5)) as web,
                web.stream("POST", f"{server.url}/v1/{path}", json={**body, "stream": stream}) as answer,
            ):
                for _ in answer.iter_bytes():
                    return

        if stream:
            gate.set()
            ask()
        else:
            with pytest.raises(httpx2.ReadTimeout):
                ask()
            gate.set()
        assert engine.ended.acquire(timeout=20)
        until(server.url, cancelled_total=1, running=0)
    assert engine.drawn < 300_000


def test_who_goes_away_while_waiting_is_never_drawn_for() -> None:
    gate = threading.Event()
    engine = Says(ANSWER, gate)
    with serving(engine, slots=1) as server:
        first = threading.Thread(
            target=httpx2.post, args=(f"{server.url}/v1/chat/completions",), kwargs={"json": CHAT}
        )
        first.start()
        until(server.url, running=1)
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{server.url}/v1/chat/completions", json=CHAT, timeout=0.5)
        until(server.url, cancelled_total=1)
        gate.set()
        first.join(20)
    assert len(engine.prompts) == 1


def test_a_response_that_is_being_written_can_be_seen_and_cancelled() -> None:
    with (
        serving(Says(ENDLESS)) as server,
        openai.OpenAI(api_key="x", base_url=f"{server.url}/v1", max_retries=0) as client,
    ):
        events = iter(client.responses.create(model="m", input="Hi.", stream=True))
        created = next(events)
        assert created.type == "response.created"
        assert client.responses.retrieve(created.response.id).status == "in_progress"
        # Cancelled sooner, it would have said nothing yet.
        said = ""
        while not said.startswith("and so on"):
            said += getattr(next(events), "delta", "")
        cancelled = client.responses.cancel(created.response.id)
        assert cancelled.status == "cancelled"
        assert cancelled.output_text.startswith("and so on")
        *_, last = events
        assert last.response.status == "cancelled"  # type: ignore[union-attr]
        assert last.response.output_text == cancelled.output_text  # type: ignore[union-attr]
        assert client.responses.retrieve(created.response.id).output_text == cancelled.output_text
        with pytest.raises(openai.BadRequestError):
            client.responses.cancel(created.response.id)


def test_closing_the_server_ends_what_is_under_way() -> None:
    engine = Says(ENDLESS)
    with serving(engine) as server:
        stream = httpx2.Client(timeout=30).stream(
            "POST", f"{server.url}/v1/chat/completions", json={**CHAT, "stream": True}
        )
        with stream as answer:
            assert (
                json.loads(next(answer.iter_lines()).removeprefix("data: "))["object"]
                == "chat.completion.chunk"
            )
    assert engine.ended.acquire(timeout=20)
