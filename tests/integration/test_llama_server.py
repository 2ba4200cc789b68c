"""`HttpEngine` against llama.cpp's own server, with the toy checkpoint in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from harmony_py.chat import DeveloperContent, Message, Role, SystemContent, ToolDescription
from harmony_py.constrain import JsonSchema, Named, Position, TurnSpec, to_gbnf
from harmony_py.engines.chat import Chat, ToolAnswered
from harmony_py.engines.http import HttpEngine
from harmony_py.engines.llama_cpp import to_gguf
from harmony_py.errors import EngineError
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.model import Sampling, load, toy
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import CALL, RETURN
from tests.turns import check_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).parents[1] / "llama_server.py"
ENCODING = load_harmony_encoding()
GREEDY = {"temperature": 0.0, "max_tokens": 80}
TOOL = ToolDescription.new(
    "get_weather",
    "Tells the weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
OPENING = [
    Message.from_role_and_content(Role.SYSTEM, SystemContent.new()),
    Message.from_role_and_content(Role.DEVELOPER, DeveloperContent.new().with_function_tools([TOOL])),
]

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("llama") / "toy.gguf"
    to_gguf(toy(), file)
    server = subprocess.Popen(
        [sys.executable, SERVER, file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.stdout.close()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def prompt_for(question: str) -> list[int]:
    user = Message.from_role_and_content(Role.USER, question)
    return ENCODING.render_conversation_for_completion([*OPENING, user])


@pytest.mark.parametrize("question", ["Hello!", "What is the weather in Tokyo?", "What is 3 + 4?"])
def test_greedy_answers_are_those_of_the_bundled_loop(url: str, question: str) -> None:
    prompt = prompt_for(question)
    steps = list(HttpEngine(url, dialect="llama-server").generate(prompt, GREEDY))
    ours = load(toy()).generate(prompt, Sampling(temperature=0, max_tokens=80))
    assert [step.token for step in steps] == [step.token for step in ours]
    assert steps[-1].finish == "stop"


def test_a_limit_is_kept_and_a_request_can_be_left(url: str) -> None:
    engine = HttpEngine(url, dialect="llama-server")
    whole = [step.token for step in engine.generate(prompt_for("Hello!"), GREEDY)]
    steps = list(engine.generate(prompt_for("Hello!"), {**GREEDY, "max_tokens": 5}))
    assert [step.token for step in steps] == whole[:5]
    assert steps[-1].finish == "length"
    left = engine.generate(prompt_for("Hello!"), GREEDY)
    assert next(left).token == whole[0]
    left.close()
    assert [step.token for step in engine.generate(prompt_for("Hello!"), GREEDY)] == whole


def test_a_conversation_with_a_tool(url: str) -> None:
    tools = {"get_weather": lambda city: {"degrees": 21, "sky": "sunny"}}
    chat = Chat(HttpEngine(url, dialect="llama-server"), OPENING, tools, sampling=GREEDY)
    events = list(chat.send("What is the weather in Tokyo?"))
    assert any(isinstance(event, ToolAnswered) for event in events)
    assert chat.messages[-1].text == "It is 21 degrees and sunny in Tokyo."


CITY = {"type": "object", "properties": {"city": {"enum": ["Łódź", "Oslo"]}}, "required": ["city"]}
SPECS = {
    "call": TurnSpec([ToolDescription.new("f", "", CITY)], tool_choice=Named("f"), preamble=False),
    "json": TurnSpec(final=JsonSchema({"enum": ["Łódź", {"n": [1, None]}, 7]}), preamble=False),
}


@pytest.mark.parametrize("name", SPECS)
def test_a_grammar_is_kept(url: str, name: str) -> None:
    spec, prompt = SPECS[name], prompt_for("Hello!")
    grammar = to_gbnf(spec, Position.of(prompt))
    engine = HttpEngine(url, dialect="llama-server", extra={"grammar": grammar})
    *tokens, last = engine.generate(prompt, {**GREEDY, "max_tokens": 300})
    assert last.token in (RETURN, CALL)  # to llama.cpp the one is as good an end as the other
    check_turn(spec, [*(step.token for step in tokens), CALL if name == "call" else RETURN])


def test_characters_in_several_tokens_come_whole(url: str) -> None:
    text = "𓀀𓁐 ᚠᛇᚻ 🧿 Łódź"
    engine = HttpEngine(url, dialect="llama-server", extra={"grammar": f'root ::= "{text}"'})
    tokens = [step.token for step in engine.generate(prompt_for("Hello!"), GREEDY)]
    assert Tokenizer.o200k_harmony().decode(tokens[:-1]) == text


def test_a_grammar_that_is_none_is_the_servers_error(url: str) -> None:
    engine = HttpEngine(url, dialect="llama-server", extra={"grammar": "root ::= nothing"})
    with pytest.raises(EngineError, match=r"127\.0\.0\.1"):
        list(engine.generate(prompt_for("Hello!"), GREEDY))
