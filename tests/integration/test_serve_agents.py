"""OpenAI's agents SDK: it calls a function of ours because the model behind the server asks for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import agents
import openai
import pytest

from harmony_py.model import load, toy
from harmony_py.serve import Batched
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.serve import Background

agents.set_tracing_disabled(True)

MODELS: Any = {
    "chat completions": agents.OpenAIChatCompletionsModel,
    "responses": agents.OpenAIResponsesModel,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Background]:
    with serving(Batched(load(toy()), slots=4), defaults={"temperature": 0}) as found:
        yield found


@pytest.mark.parametrize(("streamed", "strict"), [(False, True), (True, False)])
@pytest.mark.parametrize("api", MODELS)
def test_an_agent_uses_its_tool(server: Background, api: str, streamed: bool, strict: bool) -> None:
    asked: list[str] = []

    @agents.function_tool(strict_mode=strict)
    def get_weather(city: str) -> str:
        """Tells the weather in a city."""
        asked.append(city)
        return "21 degrees and sunny"

    async def run() -> Any:
        async with openai.AsyncOpenAI(api_key="x", base_url=f"{server.url}/v1", max_retries=0) as client:
            model = MODELS[api](model="m", openai_client=client)
            agent = agents.Agent(name="Weather", model=model, tools=[get_weather])
            if not streamed:
                return await agents.Runner.run(agent, "What is the weather in Tokyo?")
            result = agents.Runner.run_streamed(agent, "What is the weather in Tokyo?")
            async for _ in result.stream_events():
                pass
            return result

    result = asyncio.run(run())
    assert asked == ["Tokyo"]
    assert result.final_output == "It is 21 degrees and sunny in Tokyo."
