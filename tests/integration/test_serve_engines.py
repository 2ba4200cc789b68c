"""Another server behind this one: it draws the tokens, and is trusted with nothing else."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from harmony_py.engines.http import HttpEngine, Patience
from harmony_py.serve import Background, Interleaved, Settings, application
from tests import fake_server
from tests.serving import ANSWER, ENCODING, THOUGHT

ASKED: Any = {"model": "m", "messages": [{"role": "user", "content": "Rain?"}], "temperature": 0.5, "seed": 3}
IDS = ENCODING.encode(THOUGHT + ANSWER, allowed_special="all")
QUICK = Patience(connect=5, first_byte=5, stall=5, backoff=0.01)


def piece(ids: list[int], finish: str | None = None) -> bytes:
    return fake_server.event(
        {"choices": [{"index": 0, "text": "", "token_ids": ids, "finish_reason": finish}]}
    )


def asked_of(answer: fake_server.Answer, **more: Any) -> tuple[httpx2.Response, dict[str, Any]]:
    """What comes of a request, and what the other server was asked."""
    with fake_server.serving(answer) as other:
        runners = [Interleaved(HttpEngine(other.url, patience=QUICK), masks=False) for _ in range(2)]
        with Background(application(runners, Settings(models=("m",)))) as server:
            found = httpx2.post(server.url + "/v1/chat/completions", json={**ASKED, **more})
        [request] = other.requests
    return found, request["body"]


@pytest.mark.parametrize("stream", [False, True])
def test_another_server_draws_the_tokens(stream: bool) -> None:
    pieces: list[Any] = [piece(IDS[:9]), piece(IDS[9:], "stop"), fake_server.DONE]
    found, request = asked_of(fake_server.Answer(pieces), stream=stream)
    assert found.status_code == 200
    if stream:
        assert '"content":" rains"' in found.text
        assert found.text.endswith("data: [DONE]\n\n")
    else:
        message = found.json()["choices"][0]["message"]
        assert (message["content"], message["reasoning"]) == ("It rains in Łódź.", "I should look.")
    assert ENCODING.decode(request["prompt"]).endswith("<|message|>Rain?<|end|><|start|>assistant")
    assert (request["temperature"], request["seed"]) == (0.5, 3)


def test_another_server_that_fails_is_a_500_without_its_words() -> None:
    error = fake_server.event({"error": {"message": "CUDA out of memory at /secret"}})
    found, _ = asked_of(fake_server.Answer([error]))
    assert found.status_code == 500
    assert "secret" not in found.text
