"""The toy behind the server: clients get what the toy says, held to a form where they ask for one."""

from __future__ import annotations

import asyncio
import builtins
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from jsonschema import validate

from harmony_py.chat import SystemContent
from harmony_py.constrain import engine as constrain_engine
from harmony_py.model import load, toy
from harmony_py.serve import Batched
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.serve import Background

WEATHER: Any = {
    "name": "get_weather",
    "description": "Tells the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOLS: Any = [{"type": "function", "function": WEATHER}]


@pytest.fixture(scope="module")
def server() -> Iterator[Background]:
    # Without the date of the day, on which what is drawn would depend.
    with serving(Batched(load(toy()), slots=8), defaults={"temperature": 0}, system=SystemContent) as found:
        yield found


@pytest.fixture
def client(server: Background) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="x", base_url=f"{server.url}/v1", max_retries=0) as found:
        yield found


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_conversation_with_a_tool(client: openai.OpenAI) -> None:
    messages = said("What is the weather in Tokyo?")
    first = client.chat.completions.create(model="m", messages=messages, tools=TOOLS).choices[0]
    [call] = first.message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "Tokyo"}  # type: ignore[union-attr]
    answer = '{"degrees": 21, "sky": "sunny"}'
    messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": answer}]
    second = client.chat.completions.create(model="m", messages=messages, tools=TOOLS)
    assert second.choices[0].message.content == "It is 21 degrees and sunny in Tokyo."
    assert second.usage
    assert second.usage.prompt_tokens_details
    assert (second.usage.prompt_tokens_details.cached_tokens or 0) > 100


def test_many_at_once_say_what_each_would_alone(server: Background, client: openai.OpenAI) -> None:
    questions = [f"What is {a} + {b}?" for a in range(1, 6) for b in range(1, 5)]
    alone = [
        client.chat.completions.create(model="m", messages=said(question)).choices[0].message.content
        for question in questions
    ]
    assert alone[:2] == ["1 + 1 = 2.", "1 + 2 = 3."]

    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{server.url}/v1", max_retries=0) as several:
            asked = [several.chat.completions.create(model="m", messages=said(q)) for q in questions]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == alone


def test_a_seed_says_the_same_again_and_choices_differ(client: openai.OpenAI) -> None:
    def ask() -> list[str | None]:
        asked = client.chat.completions.create(
            model="m", messages=said("Tell me."), temperature=1.8, seed=5, n=3, max_tokens=12
        )
        return [json.dumps(choice.message.to_dict()) for choice in asked.choices]

    first = ask()
    assert ask() == first
    assert len(set(first)) == 3


def test_logprobs_are_told(client: openai.OpenAI) -> None:
    asked: Any = {"model": "m", "messages": said("Hello!"), "logprobs": True, "top_logprobs": 2}
    choice = client.chat.completions.create(**asked).choices[0]
    assert choice.logprobs
    entries = choice.logprobs.content or []
    assert "".join(entry.token for entry in entries) == choice.message.content
    assert all(entry.top_logprobs[0].token == entry.token for entry in entries)
    with client.chat.completions.stream(**asked) as stream:
        streamed = stream.until_done().get_final_completion().choices[0].logprobs
    assert streamed
    assert [entry.token for entry in streamed.content or []] == [entry.token for entry in entries]


# -- held to a form ----------------------------------------------------------------------------------------

SCHEMA: Any = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Oslo", "Rome"]},
        "degrees": {"type": "integer", "minimum": -40, "maximum": 40},
    },
    "required": ["city", "degrees"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("seed", range(3))
def test_an_answer_fits_its_schema_whatever_the_model_would_say(client: openai.OpenAI, seed: int) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "weather", "schema": SCHEMA, "strict": True}}
    answer = client.chat.completions.create(
        model="m", messages=said("Hello!"), response_format=form, temperature=1, seed=seed, max_tokens=300
    )
    assert answer.choices[0].finish_reason == "stop"
    validate(json.loads(answer.choices[0].message.content or ""), SCHEMA)
    text: Any = {"format": {"type": "json_schema", "name": "weather", "schema": SCHEMA, "strict": True}}
    response = client.responses.create(model="m", input="Hello!", text=text, max_output_tokens=300)
    validate(json.loads(response.output_text), SCHEMA)


def test_a_call_that_is_required_comes(client: openai.OpenAI) -> None:
    other: Any = {"type": "function", "function": {"name": "other", "parameters": SCHEMA}}
    named: Any = {"type": "function", "function": {"name": "other"}}
    for choice, names in (("required", {"get_weather", "other"}), (named, {"other"})):
        answer = client.chat.completions.create(
            model="m", messages=said("Hello!"), tools=[*TOOLS, other], tool_choice=choice, max_tokens=300
        )
        [call] = answer.choices[0].message.tool_calls or []
        assert call.function.name in names  # type: ignore[union-attr]
        json.loads(call.function.arguments)  # type: ignore[union-attr]


def test_a_schema_that_cannot_be_kept_to_is_refused(client: openai.OpenAI) -> None:
    schema: Any = {"type": "object", "properties": {"a": {"not": {}}}}
    form: Any = {"type": "json_schema", "json_schema": {"name": "odd", "schema": schema}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=said("Hi."), response_format=form)
    assert caught.value.code == "invalid_schema"
    assert "not" in caught.value.message


def test_without_llguidance_a_form_is_refused(
    server: Background, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    constrain_engine.vocabulary.cache_clear()
    constrain_engine._compiled.cache_clear()
    constrain_engine._problem.cache_clear()
    genuine = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "llguidance":
            raise ImportError(name)
        return genuine(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="m", messages=said("Hi."), response_format={"type": "json_object"}
        )
    assert "harmony-py[constrain]" in caught.value.message
    assert client.chat.completions.create(model="m", messages=said("Hello!")).choices[0].message.content


# -- the command -------------------------------------------------------------------------------------------


def test_the_command_serves_the_toy() -> None:
    command = [sys.executable, "-m", "harmony_py", "serve", "--port", "0", "--name", "my-toy", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving_process:
        try:
            assert serving_process.stdout
            told = json.loads(serving_process.stdout.readline())
            url = told["url"]
            assert told == {"url": url, "models": ["my-toy"]}
            assert url.startswith("http://127.0.0.1:")
            answer = httpx2.post(
                f"{url}/chat/completions",
                json={"model": "my-toy", "messages": said("What is 2 + 3?")},
                timeout=60,
            )
            assert answer.json()["choices"][0]["message"]["content"] == "2 + 3 = 5."
        finally:
            serving_process.terminate()
            serving_process.wait(20)
