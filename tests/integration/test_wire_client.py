"""OpenAI's own client talks to a server made of `harmony_py.wire`, with a script in the model's place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import httpx2
import openai
import pytest
from pydantic import BaseModel

from harmony_py import load_harmony_encoding
from harmony_py.errors import WireError
from harmony_py.format.parse import StreamableParser
from harmony_py.wire import chat_completions as chat
from harmony_py.wire import responses
from harmony_py.wire.turn import Turn
from harmony_py.wire.usage import Usage
from tests.token_streams import ids
from tests.wire_oracle import ask_of_the_weather, counting

if TYPE_CHECKING:
    from collections.abc import Iterator

THINK = "<|channel|>analysis<|message|>I should look.<|end|><|start|>assistant"
CALL = (
    THINK + '<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Łódź"}<|call|>'
)
ANSWER = "<|channel|>final<|message|>It rains in Łódź.<|return|>"
WEATHER: Any = {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


class Server:
    """A server of both APIs. The model says what the script says, turn after turn."""

    def __init__(self, *script: str) -> None:
        self._script = list(script)
        self._encoding = load_harmony_encoding()
        self._store = responses.MemoryStore()
        self._new_id = counting()
        self.prompts: list[str] = []

    def client(self) -> openai.OpenAI:
        http = httpx2.Client(transport=httpx2.MockTransport(self._handle))
        return openai.OpenAI(
            api_key="x",
            base_url="http://model/v1",
            http_client=http,
            max_retries=0,
            _strict_response_validation=True,
        )

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        try:
            body = json.loads(request.content)
            answer = self._chat if request.url.path == "/v1/chat/completions" else self._responses
            found = answer(body)
        except WireError as error:
            return httpx2.Response(400, json=error.to_dict())
        if isinstance(found, dict):
            return httpx2.Response(200, json=found)
        return httpx2.Response(200, content="".join(found), headers={"content-type": "text/event-stream"})

    def _sampled(self, conversation: Any) -> tuple[int, list[int]]:
        prompt = self._encoding.render_conversation_for_completion(conversation)
        self.prompts.append(self._encoding.decode(prompt))
        return len(prompt), ids(self._script.pop(0))

    def _chat(self, body: Any) -> dict[str, Any] | Iterator[str]:
        request = chat.read_request(body)
        prompt, tokens = self._sampled(request.conversation)
        tools = request.options.tools.full()
        reply = chat.Reply.to(
            request.options, reply_id=self._new_id("chatcmpl"), created=1, new_id=self._new_id
        )
        if request.options.stream:
            return self._chat_stream(
                reply, StreamableParser(None, "assistant", policy="recover", tools=tools), tokens
            )
        result = self._encoding.parse(tokens, "assistant", policy="recover", tools=tools)
        return chat.completion(reply, [Turn.of(result)], Usage.of(prompt, result))

    def _chat_stream(self, reply: chat.Reply, parser: StreamableParser, tokens: list[int]) -> Iterator[str]:
        stream = chat.ChatStream(reply)
        chunks = [chunk for token in tokens for chunk in stream.feed(parser.feed(token))]
        chunks += stream.finish(parser.finish(), "stop", Usage.of(9, parser))
        yield from (f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
        yield "data: [DONE]\n\n"

    def _responses(self, body: Any) -> dict[str, Any] | Iterator[str]:
        request = responses.read_request(body, store=self._store)
        prompt, tokens = self._sampled(request.conversation)
        reply = responses.Reply.to(request, reply_id=self._new_id("resp"), created_at=1, new_id=self._new_id)
        parser = StreamableParser(None, "assistant", policy="recover", tools=request.options.tools.full())
        stream = responses.ResponseStream(reply)
        events = [event for token in tokens for event in stream.feed(parser.feed(token))]
        events += stream.finish(parser.finish(), "stop", Usage.of(prompt, parser))
        whole = events[-1]["response"]
        self._store.put(whole, request.past.then(parser.messages, whole["output"], request.options.tools))
        if not request.options.stream:
            return dict(whole)
        return (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_loop_over_chat_completions(streamed: bool) -> None:
    server = Server(CALL, ANSWER)
    client = server.client()
    messages: list[Any] = [{"role": "user", "content": "Rain in Łódź?"}]
    tools: Any = [{"type": "function", "function": WEATHER}]
    second = ask_of_the_weather(client, tools, messages, streamed=streamed)
    assert second.choices[0].message.content == "It rains in Łódź."
    assert second.usage.completion_tokens > 0
    assert server.prompts[1].endswith(
        "<|start|>assistant<|channel|>analysis<|message|>I should look.<|end|>"
        "<|start|>assistant to=functions.weather<|channel|>commentary <|constrain|>json"
        '<|message|>{"city": "Łódź"}<|call|>'
        "<|start|>functions.weather to=assistant<|channel|>commentary<|message|>rain<|end|><|start|>assistant"
    )


@pytest.mark.parametrize("by", ["id", "items"])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_loop_over_responses(by: Literal["id", "items"], streamed: bool) -> None:
    server = Server(CALL, ANSWER)
    client = server.client()
    tools: Any = [{"type": "function", "strict": False, **WEATHER}]

    def ask(given: Any, **more: Any) -> Any:
        if not streamed:
            return client.responses.create(model="m", input=given, tools=tools, **more)
        with client.responses.stream(model="m", input=given, tools=tools, **more) as stream:
            return stream.until_done().get_final_response()

    first = ask([{"role": "user", "content": "Rain in Łódź?"}])
    thought, call = first.output
    assert thought.content[0].text == "I should look."
    assert json.loads(call.arguments) == {"city": "Łódź"}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    if by == "id":
        second = ask([result], previous_response_id=first.id)
    else:
        second = ask([{"role": "user", "content": "Rain in Łódź?"}, *first.output, result])
    assert second.output_text == "It rains in Łódź."
    assert server.prompts[1].startswith(
        server.prompts[0] + "<|channel|>analysis<|message|>I should look.<|end|>"
    )
    assert server.prompts[1].endswith("<|message|>rain<|end|><|start|>assistant")


class City(BaseModel):
    name: str


def test_structured_output_is_the_clients_type() -> None:
    spoken = (
        "<|channel|>commentary<|message|>Here it is.<|end|>"
        '<|start|>assistant<|channel|>final <|constrain|>json<|message|>{"name": "Łódź"}<|return|>'
    )
    server = Server(spoken, spoken)
    client = server.client()
    completion = client.chat.completions.parse(
        model="m", messages=[{"role": "user", "content": "A city."}], response_format=City
    )
    assert completion.choices[0].message.parsed == City(name="Łódź")
    assert "# Response Formats\n\n## City\n\n" in server.prompts[0]
    made = client.responses.parse(model="m", input="A city.", text_format=City)
    assert made.output_parsed == City(name="Łódź")


def test_the_client_knows_our_errors() -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        Server().client().chat.completions.create(model="m", messages=[], temperature=9)
    assert caught.value.param == "temperature"
    assert caught.value.code == "invalid_value"
    assert caught.value.type == "invalid_request_error"
