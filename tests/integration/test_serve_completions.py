"""`/v1/completions` and `HttpEngine`, one against the other: ids in, ids out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from harmony_py import Message, Role
from harmony_py.engines.chat import Chat, Completed
from harmony_py.engines.http import HttpEngine
from harmony_py.engines.torch import TorchEngine
from harmony_py.model import Sampling, load, toy
from harmony_py.serve import Background, Batched, Settings, application
from harmony_py.tokenizer.special import MESSAGE, RETURN
from tests.serving import ANSWER, ENCODING, Says, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = [Message.from_role_and_content(Role.USER, "What is 3 + 4?")]
PROMPT = ENCODING.render_conversation_for_completion(QUESTION)
TOKENS = ENCODING.encode(ANSWER, allowed_special="all")


@pytest.fixture(scope="module")
def toys() -> Iterator[str]:
    settings = Settings(models=("toy",), defaults={"temperature": 0})
    with Background(application(Batched(load(toy()), slots=4), settings)) as server:
        yield server.url


def asked(url: str, **fields: Any) -> dict[str, Any]:
    answer = httpx2.post(
        f"{url}/v1/completions", json={"model": "m", "max_tokens": 100, **fields}, timeout=60
    )
    return dict(answer.json())


def test_an_engine_over_it_draws_what_the_model_draws(toys: str) -> None:
    engine = HttpEngine(toys, model="toy")
    found = [step.token for step in engine.generate(PROMPT, {"temperature": 0})]
    alone = TorchEngine(load(toy())).generate(PROMPT, Sampling(temperature=0))
    assert found == [step.token for step in alone]
    assert found[-1] == RETURN


def test_a_chat_goes_through_it(toys: str) -> None:
    chat = Chat(HttpEngine(toys, model="toy"), [], {}, sampling={"temperature": 0})
    *_, last = chat.send("What is 3 + 4?")
    assert isinstance(last, Completed)
    assert chat.messages[-1].text == "3 + 4 = 7."


def test_tokens_and_text_are_both_told() -> None:
    with serving(Says(ANSWER)) as server:
        whole = asked(server.url, prompt=PROMPT)
        spelled = asked(server.url, prompt=PROMPT, skip_special_tokens=False)
        short = asked(server.url, prompt=PROMPT, max_tokens=4)
    [choice] = whole["choices"]
    assert (choice["token_ids"], choice["finish_reason"], choice["stop_reason"]) == (TOKENS, "stop", RETURN)
    assert choice["text"] == "finalIt rains in Łódź."
    assert spelled["choices"][0]["text"] == ANSWER
    assert whole["usage"]["prompt_tokens"] == len(PROMPT)
    assert whole["usage"]["completion_tokens"] == len(TOKENS)
    assert (short["choices"][0]["token_ids"], short["choices"][0]["finish_reason"]) == (TOKENS[:4], "length")


def test_openais_client_streams_it() -> None:
    with serving(Says(ANSWER)) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0)
        with client, client.completions.create(model="m", prompt="Hi", max_tokens=100, stream=True) as stream:
            chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "finalIt rains in Łódź."
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_text_is_text() -> None:
    engine = Says(ANSWER)
    with serving(engine) as server:
        asked(server.url, prompt="<|message|>")
        asked(server.url, prompt=[MESSAGE], stop_token_ids=[TOKENS[3]])
    text = ENCODING.tokenizer.encode_ordinary("<|message|>")
    assert [ENCODING.decode(text), ENCODING.decode([MESSAGE])] == engine.prompts
    assert engine.samplings[1]["stop"] == {TOKENS[3]}


def test_no_share_of_the_likeliest_is_the_likeliest() -> None:
    engine = Says(ANSWER)
    with serving(engine) as server:
        asked(server.url, prompt=[MESSAGE], top_p=0)
    assert engine.samplings[0]["top_k"] == 1
    assert "top_p" not in engine.samplings[0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, -1]}, "prompt[1]"),
        ({"prompt": [True]}, "prompt[0]"),
        ({"prompt": [1], "n": 2}, "n"),
        ({"prompt": [1], "logit_bias": {"x": 1}}, "logit_bias.x"),
        ({"prompt": [1], "echo": True}, "echo"),
        ({"prompt": [1], "model": "other"}, "model"),
    ],
)
def test_a_mistake_is_named(fields: dict[str, Any], param: str) -> None:
    with serving(Says(ANSWER)) as server:
        assert asked(server.url, **fields)["error"]["param"] == param
