"""OpenAI's own client against a running server: both APIs, sync and async, streamed and whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import openai
import pytest
from pydantic import BaseModel

from tests.serving import ANSWER, CALL, ENCODING, THOUGHT, Says, Script, serving
from tests.wire_oracle import ask_of_the_weather

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.serve import Background

QUESTION: Any = [{"role": "user", "content": "Rain in Łódź?"}]
WEATHER: Any = {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def client(server: Background) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="x", base_url=f"{server.url}/v1", max_retries=0, _strict_response_validation=True
    )


def count(text: str) -> int:
    return len(ENCODING.encode(text, allowed_special="all"))


@pytest.fixture(scope="module")
def answering() -> Iterator[openai.OpenAI]:
    with serving(Says(THOUGHT + ANSWER)) as server, client(server) as found:
        yield found


@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_loop_over_chat_completions(streamed: bool) -> None:
    engine = Says(Script(CALL, ANSWER))
    messages = list(QUESTION)
    tools: Any = [{"type": "function", "function": WEATHER}]
    with serving(engine) as server, client(server) as asks:
        second = ask_of_the_weather(asks, tools, messages, streamed=streamed)
    assert second.choices[0].message.content == "It rains in Łódź."
    assert second.choices[0].finish_reason == "stop"
    assert second.usage.completion_tokens == count(ANSWER)
    assert engine.prompts[1].endswith("<|message|>rain<|end|><|start|>assistant")


@pytest.mark.parametrize("by", ["id", "items"])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_loop_over_responses(by: Literal["id", "items"], streamed: bool) -> None:
    engine = Says(Script(CALL, ANSWER))
    tools: Any = [{"type": "function", "strict": False, **WEATHER}]
    with serving(engine) as server, client(server) as asks:

        def ask(given: Any, **more: Any) -> Any:
            if not streamed:
                return asks.responses.create(model="m", input=given, tools=tools, **more)
            with asks.responses.stream(model="m", input=given, tools=tools, **more) as stream:
                return stream.until_done().get_final_response()

        first = ask(QUESTION)
        thought, call = first.output
        assert thought.content[0].text == "I should look."
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
        if by == "id":
            second = ask([result], previous_response_id=first.id)
        else:
            second = ask([*QUESTION, *first.output, result])
        assert second.output_text == "It rains in Łódź."
        assert asks.responses.retrieve(second.id).output_text == "It rains in Łódź."
    asked, answered = engine.prompts
    assert answered.startswith(asked + "<|channel|>analysis<|message|>I should look.<|end|>")
    assert answered.endswith("<|message|>rain<|end|><|start|>assistant")


def test_whole_and_streamed_answers_are_the_same(answering: openai.OpenAI) -> None:
    whole = answering.chat.completions.create(model="m", messages=QUESTION).choices[0]
    with answering.chat.completions.stream(model="m", messages=QUESTION) as stream:
        streamed = stream.until_done().get_final_completion().choices[0]
    assert (whole.message.content, whole.finish_reason) == ("It rains in Łódź.", "stop")
    assert (streamed.message.content, streamed.finish_reason) == ("It rains in Łódź.", "stop")
    for name in ("reasoning", "reasoning_content"):
        assert getattr(whole.message, name) == getattr(streamed.message, name) == "I should look."


def test_the_async_client_asks_for_several_at_once(answering: openai.OpenAI) -> None:
    async def ask() -> list[Any]:
        async with openai.AsyncOpenAI(api_key="x", base_url=answering.base_url, max_retries=0) as asks:
            streams = [
                asks.chat.completions.create(model="m", messages=QUESTION, stream=True) for _ in range(5)
            ]

            async def read(stream: Any) -> str:
                return "".join([chunk.choices[0].delta.content or "" async for chunk in await stream])

            response = await asks.responses.create(model="m", input="Rain?")
            return [response.output_text, *await asyncio.gather(*map(read, streams))]

    assert asyncio.run(ask()) == ["It rains in Łódź."] * 6


@pytest.mark.parametrize("streamed", [False, True])
def test_several_choices(answering: openai.OpenAI, streamed: bool) -> None:
    if not streamed:
        completion = answering.chat.completions.create(model="m", messages=QUESTION, n=3, seed=4)
        contents = [choice.message.content for choice in completion.choices]
        tokens = completion.usage.completion_tokens if completion.usage else 0
    else:
        counted: Any = {"include_usage": True}
        with answering.chat.completions.stream(
            model="m", messages=QUESTION, n=3, seed=4, stream_options=counted
        ) as stream:
            final = stream.until_done().get_final_completion()
        contents = [choice.message.content for choice in final.choices]
        tokens = final.usage.completion_tokens if final.usage else 0
    assert contents == ["It rains in Łódź."] * 3
    assert tokens == 3 * count(THOUGHT + ANSWER)


def test_max_tokens_are_kept_and_said(answering: openai.OpenAI) -> None:
    completion = answering.chat.completions.create(model="m", messages=QUESTION, max_completion_tokens=14)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage
    assert completion.usage.completion_tokens == 14
    response = answering.responses.create(model="m", input="Rain?", max_output_tokens=14)
    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_stop_string_ends_the_content_and_not_the_thoughts(
    answering: openai.OpenAI, streamed: bool
) -> None:
    asked: Any = {"model": "m", "messages": QUESTION, "stop": ["nowhere", " in Ł", "look"]}
    if streamed:
        with answering.chat.completions.stream(**asked) as stream:
            choice = stream.until_done().get_final_completion().choices[0]
    else:
        choice = answering.chat.completions.create(**asked).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("It rains", "stop")
    assert getattr(choice.message, "reasoning", None) == "I should look."


def test_responses_are_remembered_and_forgotten(answering: openai.OpenAI) -> None:
    kept = answering.responses.create(model="m", input="Rain?", metadata={"mine": "1"})
    assert answering.responses.retrieve(kept.id).to_dict() == kept.to_dict()
    answering.responses.delete(kept.id)
    with pytest.raises(openai.NotFoundError):
        answering.responses.retrieve(kept.id)
    with pytest.raises(openai.NotFoundError):
        answering.responses.delete(kept.id)
    passing = answering.responses.create(model="m", input="Rain?", store=False)
    with pytest.raises(openai.NotFoundError):
        answering.responses.retrieve(passing.id)
    with pytest.raises(openai.BadRequestError) as caught:
        answering.responses.create(model="m", input="And now?", previous_response_id=passing.id)
    assert caught.value.code == "previous_response_not_found"


def test_the_models_there_are(answering: openai.OpenAI) -> None:
    assert [model.id for model in answering.models.list()] == ["m"]
    assert answering.models.retrieve("m").id == "m"
    for ask in (
        lambda: answering.models.retrieve("gpt-4"),
        lambda: answering.chat.completions.create(model="gpt-4", messages=QUESTION),
        lambda: answering.responses.create(model="gpt-4", input="Hi."),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            ask()
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


class City(BaseModel):
    name: str


def test_structured_output_is_the_clients_type() -> None:
    spoken = '<|channel|>final <|constrain|>json<|message|>{"name": "Łódź"}<|return|>'
    with serving(Says(spoken)) as server, client(server) as asks:
        completion = asks.chat.completions.parse(model="m", messages=QUESTION, response_format=City)
        assert completion.choices[0].message.parsed == City(name="Łódź")
        assert asks.responses.parse(model="m", input="A city.", text_format=City).output_parsed == City(
            name="Łódź"
        )


def test_the_model_does_not_speak_for_others() -> None:
    spoken = "<|channel|>final<|message|>Yes.<|end|><|start|>user<|message|>Thanks!<|end|>" * 2000
    engine = Says(spoken)
    with serving(engine) as server, client(server) as asks:
        answer = asks.chat.completions.create(model="m", messages=QUESTION)
        assert answer.choices[0].message.content == "Yes."
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage
        assert answer.usage.completion_tokens == count("<|channel|>final<|message|>Yes.<|end|>")
        with asks.chat.completions.stream(model="m", messages=QUESTION) as stream:
            assert stream.until_done().get_final_completion().choices[0].message.content == "Yes."
        assert engine.ended.acquire(timeout=20)
        assert engine.ended.acquire(timeout=20)
    # The engine hears of it a little later, and this one is fast.
    assert engine.drawn < count(spoken)


def test_a_call_ends_the_turn_however_it_ended() -> None:
    more = "<|start|>assistant<|channel|>final<|message|>It is sunny, I guess.<|return|>"
    with serving(Says(CALL.replace("<|call|>", "<|end|>") + more)) as server, client(server) as asks:
        tools: Any = [{"type": "function", "function": WEATHER}]
        choice = asks.chat.completions.create(model="m", messages=QUESTION, tools=tools).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
