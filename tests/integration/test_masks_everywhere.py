"""P9 in every host: with a mask all turns of a model that knows nothing parse and validate, without one none.

The model is a small random one of the genuine architecture and vocabulary; llama.cpp has its own tests in
`test_engine_llama_cpp.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import torch

from harmony_py.chat import Message, Role, ToolDescription
from harmony_py.constrain import JsonSchema, Mask, Regex, TurnSpec
from harmony_py.engines.chat import Chat, Completed, ToolAnswered
from harmony_py.engines.torch import TorchEngine
from harmony_py.engines.transformers import (
    MaskProcessor,
    TransformersEngine,
    generate_messages,
    generation_config,
)
from harmony_py.errors import EngineError, HarmonyError
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.model import ModelConfig, Sampling, load, random_checkpoint
from harmony_py.tokenizer.special import ASSISTANT_ACTION_STOP_TOKENS, END_OF_TEXT, N_VOCAB
from tests import tiny_models
from tests.turns import check_turn

if TYPE_CHECKING:
    from transformers import GptOssForCausalLM

    from harmony_py.engines import Engine
    from harmony_py.model import Model

torch.set_num_threads(1)

ENCODING = load_harmony_encoding()
WEATHER = ToolDescription.new(
    "weather",
    "The weather.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 8},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "unit": {"enum": ["°C", "°F"]},
        },
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
)
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
    },
    "required": ["name", "tags"],
    "additionalProperties": False,
}
BRIEF: dict[str, Any] = {"max_analysis_tokens": 6, "preamble": False}
"""What ends soon, whatever is drawn: a model would end by itself, one that knows nothing does not."""
SPECS = {
    "call": TurnSpec([WEATHER], tool_choice="required", **BRIEF),
    "json": TurnSpec(final=JsonSchema(PERSON), **BRIEF),
    "regex": TurnSpec(final=Regex("(yes|no), [a-z]{1,12}"), reasoning="required", **BRIEF),
}
LIMIT = 250
SAMPLINGS = {
    "greedy": Sampling(temperature=0, max_tokens=LIMIT),
    "sampled": Sampling(temperature=1, max_tokens=LIMIT, seed=3),
    "filtered": Sampling(temperature=0.7, top_p=0.9, top_k=500, max_tokens=LIMIT, seed=4),
}
RUNS = [*((name, kind) for name in SPECS for kind in ("greedy", "sampled")), ("json", "filtered")]
QUESTIONS = ["Hi", "The weather in Łódź, in three days?"]


def prompt_for(question: str) -> list[int]:
    return ENCODING.render_conversation_for_completion([Message.from_role_and_content(Role.USER, question)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    config = ModelConfig(layers=2, experts=4, hidden=32, intermediate=32, heads=2, kv_heads=1, vocab=N_VOCAB)
    path = tmp_path_factory.mktemp("random") / "model"
    random_checkpoint(path, config, seed=1)
    # In bfloat16 what such a model finds likeliest hangs on the last bit, and so on how a prompt was cut.
    return load(path, dtype="float32")


@pytest.fixture(scope="module")
def theirs() -> GptOssForCausalLM:
    return tiny_models.theirs()


def is_sound(spec: TurnSpec, tokens: list[int]) -> bool:
    try:
        check_turn(spec, tokens)
    except (HarmonyError, AssertionError):
        return False
    return True


def drawn(engine: Engine, prompt: list[int], sampling: Any, spec: TurnSpec | None) -> list[int]:
    mask = None if spec is None else Mask.from_spec(spec, prompt)
    return [step.token for step in engine.generate(prompt, sampling, mask=mask)]


# -- the bundled loop ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), RUNS)
def test_the_bundled_loop_keeps_to_it(model: Model, name: str, kind: str) -> None:
    """One engine for all questions, so that each prompt's beginning is reused; guessing changes nothing."""
    spec, sampling = SPECS[name], SAMPLINGS[kind]
    plain, guessing = TorchEngine(model), TorchEngine(model, speculate=4)
    for question in QUESTIONS:
        prompt = prompt_for(question)
        tokens = drawn(plain, prompt, sampling, spec)
        check_turn(spec, tokens)
        assert drawn(guessing, prompt, sampling, spec) == tokens
    # The same prompt again, of which the beginning is known.
    check_turn(spec, drawn(plain, prompt, sampling, spec))
    assert plain.statistics is not None
    assert plain.statistics.reused_tokens > 0


def test_without_a_mask_nothing_does(model: Model) -> None:
    for sampling in SAMPLINGS.values():
        for question in QUESTIONS:
            brief = replace(sampling, max_tokens=60)
            tokens = drawn(TorchEngine(model), prompt_for(question), brief, None)
            assert not any(is_sound(spec, tokens) for spec in SPECS.values())


@pytest.mark.parametrize("speculate", [0, 3])
def test_each_row_of_a_batch_keeps_to_its_own(model: Model, speculate: int) -> None:
    asked = [(question, spec) for question in QUESTIONS for spec in SPECS.values()]
    prompts = [prompt_for(question) for question, _ in asked]
    masks = [Mask.from_spec(spec, prompt) for (_, spec), prompt in zip(asked, prompts, strict=True)]
    turns: list[list[int]] = [[] for _ in asked]
    for row, step in model.generate_batch(prompts, SAMPLINGS["sampled"], masks=masks, speculate=speculate):
        turns[row].append(step.token)
    for (_, spec), tokens in zip(asked, turns, strict=True):
        check_turn(spec, tokens)


# -- transformers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("sample", [False, True])
def test_transformers_keeps_to_it(theirs: GptOssForCausalLM, name: str, sample: bool) -> None:
    spec = SPECS[name]
    conversation = [Message.from_role_and_content(Role.USER, "Hi")]
    turn = generate_messages(theirs, conversation, spec=spec, do_sample=sample, max_new_tokens=LIMIT)
    check_turn(spec, turn.tokens)
    assert turn.diagnostics == []
    settings = {"temperature": float(sample), "seed": 1, "max_tokens": LIMIT}
    check_turn(spec, drawn(TransformersEngine(theirs), prompt_for("Hi"), settings, spec))


def test_each_row_of_a_batch_of_transformers_keeps_to_its_own(theirs: GptOssForCausalLM) -> None:
    prompt = prompt_for("Hi")
    specs = list(SPECS.values())
    masks = [Mask.from_spec(spec, prompt) for spec in specs]
    ids = torch.tensor([prompt] * len(specs))
    found: Any = theirs.generate(  # type: ignore[operator, unused-ignore]
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        generation_config=generation_config(theirs),
        logits_processor=[MaskProcessor(*masks)],
        do_sample=True,
        max_new_tokens=LIMIT,
    )
    for spec, row in zip(specs, found[:, len(prompt) :].tolist(), strict=True):
        ends = [place for place, token in enumerate(row) if token in ASSISTANT_ACTION_STOP_TOKENS]
        check_turn(spec, row[: ends[0] + 1])
        assert set(row[ends[0] + 1 :]) <= {END_OF_TEXT}


def test_transformers_takes_a_spec_or_a_mask(theirs: GptOssForCausalLM) -> None:
    conversation = [Message.from_role_and_content(Role.USER, "Hi")]
    with pytest.raises(EngineError, match="spec, mask: expected one of them, found both"):
        generate_messages(theirs, conversation, spec=SPECS["json"], mask=Mask.from_spec(SPECS["json"]))


# -- the chat loop -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["bundled", "transformers"])
def test_a_conversation_keeps_to_it(model: Model, theirs: GptOssForCausalLM, host: str) -> None:
    """A call, which is answered; then, of itself, an answer or another call; then JSON in the next turn."""
    engine: Engine = TorchEngine(model) if host == "bundled" else TransformersEngine(theirs)
    sampling = Sampling(temperature=0, max_tokens=LIMIT)
    auto = TurnSpec([WEATHER], tool_choice="required", final=Regex("[a-z]{1,9}"), **BRIEF)
    chat = Chat(engine, tools={"weather": lambda **_: "fine"}, sampling=sampling, spec=auto, rounds=3)
    events = list(chat.send("The weather?"))
    answered = [event for event in events if isinstance(event, ToolAnswered)]
    assert answered
    assert all(event.error is None for event in answered)
    assert all(event.finish in ("stop", "rounds") for event in events if isinstance(event, Completed))
    list(chat.send("As JSON.", spec=SPECS["json"]))
    last = chat.messages[-1]
    assert last.channel == "final"
    jsonschema.validate(json.loads(last.text), PERSON)


def test_a_chat_takes_a_spec_or_masks(model: Model) -> None:
    with pytest.raises(ValueError, match="spec, mask: expected one of them, found both"):
        Chat(TorchEngine(model), spec=SPECS["json"], mask=lambda ids: None)
