"""llama.cpp as an engine and behind the chat handler, with the toy checkpoint in llama.cpp itself."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import jsonschema
import pytest
import torch
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from harmony_py.chat import DeveloperContent, Message, Role, SystemContent, ToolDescription
from harmony_py.constrain import JsonSchema, Mask, Named, Position, TurnSpec, to_gbnf
from harmony_py.engines.chat import Chat, ToolAnswered
from harmony_py.engines.llama_cpp import HarmonyChatHandler, LlamaCppEngine, register, to_gguf, unregister
from harmony_py.engines.torch import TorchEngine
from harmony_py.errors import CheckpointError, EngineError, WireError
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.model import ModelConfig, Sampling, load, random_checkpoint, toy
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import CALL, END_OF_TEXT, N_VOCAB, RETURN
from tests.llama_library import toy_llama, vocabulary
from tests.turns import check_turn

if TYPE_CHECKING:
    from pathlib import Path

torch.set_num_threads(1)

ENCODING = load_harmony_encoding()
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = ToolDescription.new("get_weather", "Tells the weather in a city.", PARAMETERS)
TOOL = {"type": "function", "function": WEATHER.model_dump(exclude_none=True)}
OPENING = [
    Message.from_role_and_content(Role.SYSTEM, SystemContent.new()),
    Message.from_role_and_content(Role.DEVELOPER, DeveloperContent.new().with_function_tools([WEATHER])),
]
QUESTIONS = ["Hello!", "What is the weather in Tokyo?", "What is 3 + 4?", "My name is Ada.", "Thank you!"]
GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 80}
PLAIN = {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}
"""What llama-cpp-python hands to a handler, with nothing filtered."""


def prompt_for(question: str) -> list[int]:
    user = Message.from_role_and_content(Role.USER, question)
    return ENCODING.render_conversation_for_completion([*OPENING, user])


# -- the checkpoint as llama.cpp's file ---------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS)
def test_greedy_answers_are_those_of_the_bundled_loop(question: str) -> None:
    prompt = prompt_for(question)
    theirs = [step.token for step in LlamaCppEngine(toy_llama()).generate(prompt, GREEDY)]
    ours = [step.token for step in load(toy()).generate(prompt, Sampling(**GREEDY))]
    assert theirs == ours
    assert theirs[-1] in (RETURN, CALL)


def test_the_logits_are_those_of_the_bundled_model() -> None:
    """As far as they can be: llama.cpp rounds what it multiplies with the experts to eight bits."""
    prompt = prompt_for("What is the weather in Oslo?")
    theirs = torch.from_numpy(toy_llama().logits(prompt))
    ours = load(toy(), dtype="float32").logits(prompt)[-1]
    assert (theirs - ours).abs().max() < 0.02 * (ours.max() - ours.min())


def test_the_vocabulary_is_ours() -> None:
    llama, core = vocabulary(), Tokenizer.o200k_harmony()
    assert llama.n_vocab() == N_VOCAB
    chance = random.Random(1)
    tokens = [*range(199_990, N_VOCAB), *(chance.randrange(N_VOCAB) for _ in range(2000))]
    assert [llama.detokenize([token], special=True) for token in tokens] == list(
        map(core.decode_single_token_bytes, tokens)
    )
    for text in ("Łódź, 東京 and 🚀\n\n  x", "def f(a):\n\treturn a != 12345", "I'll\u00a0don't"):
        assert llama.tokenize(text.encode()) == core.encode_ordinary(text)
    assert [token for token in tokens if llama.is_eog(token)] == [END_OF_TEXT, RETURN, CALL]


def test_what_llama_cpp_would_misread_is_not_written(tmp_path: Path) -> None:
    config = ModelConfig(
        layers=1, experts=4, hidden=32, intermediate=32, heads=1, kv_heads=1, vocab=N_VOCAB, swiglu_limit=5
    )
    random_checkpoint(tmp_path / "odd", config)
    with pytest.raises(CheckpointError, match=r"swiglu_limit: llama\.cpp takes 7\.0 .*, found 5"):
        to_gguf(tmp_path / "odd", tmp_path / "odd.gguf")
    assert not (tmp_path / "odd.gguf").exists()
    (tmp_path / "there.gguf").touch()
    with pytest.raises(FileExistsError):
        to_gguf(toy(), tmp_path / "there.gguf")


def test_answering_needs_no_torch() -> None:
    script = (
        "import sys, harmony_py.engines.llama_cpp; print(*sorted({'torch', 'llguidance'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


# -- the engine ----------------------------------------------------------------------------------------------


def test_a_conversation_with_tools_is_that_of_the_bundled_loop() -> None:
    tools = {"get_weather": lambda city: {"degrees": 21, "sky": "sunny"}}
    said = []
    for engine, sampling in (
        (LlamaCppEngine(toy_llama()), GREEDY),
        (TorchEngine(load(toy())), Sampling(**GREEDY)),
    ):
        chat = Chat(engine, OPENING, tools, sampling=sampling)
        events = [event for question in QUESTIONS[:3] for event in chat.send(question)]
        assert sum(isinstance(event, ToolAnswered) for event in events) == 1
        said.append([(message.channel, message.recipient, message.text) for message in chat.messages])
    assert said[0] == said[1]


def test_it_stops_where_it_is_told_to() -> None:
    engine, prompt = LlamaCppEngine(toy_llama()), prompt_for("Hello!")
    whole = [step.token for step in engine.generate(prompt, GREEDY)]
    steps = list(engine.generate(prompt, {**GREEDY, "max_tokens": 3}))
    assert [step.token for step in steps] == whole[:3]
    assert [step.finish for step in steps] == [None, None, "length"]
    [*_, last] = engine.generate(prompt, {**GREEDY, "stop": [whole[4]]})
    assert (last.token, last.finish) == (whole[4], "stop")
    forced = list(engine.generate(prompt, {**GREEDY, "max_tokens": 1, "logit_bias": {RETURN: 100.0}}))
    assert [step.token for step in forced] == [RETURN]
    assert list(engine.generate(prompt, {"max_tokens": 0})) == []
    drawn = [
        [step.token for step in engine.generate(prompt, {"seed": 5, "max_tokens": 20})] for _ in range(2)
    ]
    assert drawn[0] == drawn[1]


def test_no_room_and_unknown_options_are_errors() -> None:
    engine = LlamaCppEngine(toy_llama())
    with pytest.raises(EngineError, match=r"llama\.cpp: 2048 tokens leave no room for an answer"):
        list(engine.generate([0] * 2048))
    with pytest.raises(EngineError, match="unknown option 'temp'"):
        list(engine.generate([0], {"temp": 0}))


class Nobody:
    """A mask that allows what it is told to."""

    def __init__(self, allowed: object) -> None:
        self._allowed = allowed

    def allowed(self) -> object:
        return self._allowed

    def advance(self, token: int) -> None: ...


def test_masks_of_every_kind() -> None:
    engine = LlamaCppEngine(toy_llama())
    [step] = engine.generate(prompt_for("Hello!"), {**GREEDY, "max_tokens": 1}, mask=Nobody([17]))
    assert step.token == 17
    free = [list(engine.generate(prompt_for("Hello!"), GREEDY, mask=mask)) for mask in (None, Nobody(None))]
    assert free[0] == free[1]
    for allowed, reason in (([], "the mask allows no token"), (3, "a mask allowed int")):
        with pytest.raises(EngineError, match=reason):
            list(engine.generate(prompt_for("Hello!"), GREEDY, mask=Nobody(allowed)))


class Other:
    """A model with another vocabulary."""

    def __init__(self, size: int) -> None:
        self._size = size

    def n_vocab(self) -> int:
        return self._size

    def detokenize(self, tokens: list[int], *, special: bool) -> bytes:
        return b"x" if tokens == [RETURN] else Tokenizer.o200k_harmony().decode_bytes(tokens)


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(EngineError, match="a vocabulary of 32,000 tokens; gpt-oss has 201,088"):
        LlamaCppEngine(Other(32_000))
    with pytest.raises(EngineError, match=r"token 200002 is b'x' in this file, b'<\|return\|>' in gpt-oss"):
        LlamaCppEngine(Other(N_VOCAB))


SUM: dict[str, Any] = {
    "type": "object",
    "properties": {"sum": {"enum": [6, 7, 8]}},
    "required": ["sum"],
    "additionalProperties": False,
}
SPECS = {
    "call": TurnSpec([WEATHER], tool_choice=Named("get_weather"), max_analysis_tokens=20),
    "json": TurnSpec(final=JsonSchema(SUM), max_analysis_tokens=20, preamble=False),
}


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("question", QUESTIONS[:3])
def test_with_a_mask_every_turn_is_as_specified(name: str, question: str) -> None:
    prompt = prompt_for(question)
    mask = Mask.from_spec(SPECS[name], prompt)
    tokens = [step.token for step in LlamaCppEngine(toy_llama()).generate(prompt, GREEDY, mask=mask)]
    check_turn(SPECS[name], tokens)


def test_so_it_is_with_a_grammar_of_llama_cpps_own() -> None:
    spec, prompt = SPECS["call"], prompt_for("Hello!")
    grammar = toy_llama().grammar(to_gbnf(spec, Position.of(prompt)))
    engine = LlamaCppEngine(toy_llama(), extra={"grammar": grammar})
    tokens = [step.token for step in engine.generate(prompt, GREEDY)]
    check_turn(spec, [*tokens[:-1], CALL])


# -- the chat handler ----------------------------------------------------------------------------------------


def asked(handler: HarmonyChatHandler, question: str, **settings: Any) -> Any:
    messages = [{"role": "user", "content": question}]
    return handler(llama=toy_llama(), messages=messages, **{**PLAIN, "tools": [TOOL], **settings})


@pytest.mark.parametrize("question", QUESTIONS)
def test_whole_and_streamed_answers_are_openais_and_the_same(question: str) -> None:
    handler = HarmonyChatHandler()
    whole = ChatCompletion.model_validate(asked(handler, question, max_tokens=80))
    chunks = [ChatCompletionChunk.model_validate(chunk) for chunk in asked(handler, question, stream=True)]
    [choice] = whole.choices
    content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert content == (choice.message.content or "")
    assert chunks[-1].choices[0].finish_reason == choice.finish_reason
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    written = "".join(call.function.arguments or "" for call in calls if call.function)
    if question == "What is the weather in Tokyo?":
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls is not None
        assert choice.message.tool_calls[0].function.arguments == written == '{"city": "Tokyo"}'  # type: ignore[union-attr]
    else:
        assert choice.finish_reason == "stop"
        assert choice.message.content


def test_a_limit_and_the_effort_are_kept() -> None:
    cut = asked(HarmonyChatHandler(), "Hello!", max_tokens=4)
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"]["completion_tokens"] == 4
    system = SystemContent.new().with_reasoning_effort("low")
    quick = asked(HarmonyChatHandler(system=system), "What is 3 + 4?")
    assert quick["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


def test_a_forced_tool_is_called() -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    free = asked(HarmonyChatHandler(), "Hello!", tool_choice=choice)
    assert free["choices"][0]["finish_reason"] == "stop"  # the toy does as it likes
    kept = asked(HarmonyChatHandler(constrain="mask"), "Hello!", tool_choice=choice, max_tokens=200)
    [call] = kept["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"


def test_a_format_is_kept() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "sum", "schema": SUM}}
    settings = {"tools": None, "response_format": wanted}
    kept = asked(HarmonyChatHandler(constrain="mask"), "What is 3 + 4?", **settings)

    jsonschema.validate(json.loads(kept["choices"][0]["message"]["content"]), SUM)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"stop": ["x"]}, "stop: not supported"),
        ({"logprobs": True}, "logprobs: not supported"),
        ({"tool_choice": "maybe"}, "'maybe'"),
        ({"response_format": {"type": "poem"}}, "'poem'"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises((EngineError, WireError), match=reason):
        asked(HarmonyChatHandler(), "Hello!", **settings)


def test_the_handler_checks_itself() -> None:
    with pytest.raises(EngineError, match="constrain: expected 'mask', 'grammar' or None, found 'yes'"):
        HarmonyChatHandler(constrain="yes")  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="the handler keeps to the request itself"):
        asked(HarmonyChatHandler(constrain="mask"), "Hello!", grammar=object())


class Grammars:
    """`LlamaGrammar` of llama-cpp-python: a text until a model gets it."""

    @staticmethod
    def from_string(text: str, *, verbose: bool) -> Any:
        return toy_llama().grammar(text)


class Registry:
    """llama-cpp-python's: there is one of it."""

    handlers: ClassVar[dict[str, Any]] = {}

    def register_chat_completion_handler(self, name: str, handler: Any) -> None:
        if name in self.handlers:
            raise ValueError(name)
        self.handlers[name] = handler

    def unregister_chat_handler(self, name: str) -> None:
        del self.handlers[name]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of llama-cpp-python that we look into."""
    for name in ("llama_cpp", "llama_cpp.llama_grammar", "llama_cpp.llama_chat_format"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["llama_cpp.llama_grammar"], "LlamaGrammar", Grammars, raising=False)
    monkeypatch.setattr(
        sys.modules["llama_cpp.llama_chat_format"],
        "LlamaChatCompletionHandlerRegistry",
        Registry,
        raising=False,
    )


def test_a_grammar_keeps_to_the_request(package: None) -> None:
    handler = HarmonyChatHandler(constrain="grammar")
    kept = asked(handler, "Hello!", tool_choice="required", max_tokens=200)
    [call] = kept["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"


def test_it_can_be_registered_and_taken_back(package: None) -> None:
    register()
    assert isinstance(Registry.handlers["harmony"], HarmonyChatHandler)
    with pytest.raises(ValueError, match="harmony"):
        register()
    unregister()
    assert Registry.handlers == {}
