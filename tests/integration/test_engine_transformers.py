"""Models of transformers as a host, with a small random gpt-oss on the CPU."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harmony_py import Message, Role, load_harmony_encoding
from harmony_py.engines.transformers import (
    HarmonyStreamer,
    MaskProcessor,
    TransformersEngine,
    generate_messages,
    generation_config,
)
from harmony_py.engines.transformers.mask import permitted
from harmony_py.errors import EngineError
from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.tokenizer.special import CALL, CHANNEL, END, END_OF_TEXT, MESSAGE, N_VOCAB, RETURN, START
from tests import tiny_models

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import GptOssForCausalLM

ENCODING = load_harmony_encoding()
QUESTION = [Message.from_role_and_content(Role.USER, "Hi")]
PROMPT = ENCODING.render_conversation_for_completion(QUESTION)


@pytest.fixture(scope="module")
def model() -> GptOssForCausalLM:
    # As a checkpoint's config has it that forgets calls.
    return tiny_models.theirs(eos_token_id=RETURN, pad_token_id=END_OF_TEXT)


class Script:
    """A mask that allows one token after another, whatever form it says so in."""

    def __init__(self, tokens: Iterable[int], form: str = "ids") -> None:
        self.tokens = list(tokens)
        self.form = form
        self.taken: list[int] = []

    def allowed(self) -> object:
        return in_form([self.tokens[len(self.taken)]], self.form)

    def advance(self, token: int) -> None:
        self.taken.append(token)


class Within:
    """A mask that allows some tokens, always."""

    def __init__(self, tokens: Iterable[int]) -> None:
        self.tokens = list(tokens)

    def allowed(self) -> object:
        return self.tokens

    def advance(self, token: int) -> None:
        assert token in self.tokens


def in_form(ids: list[int], form: str) -> object:
    words = bytearray(N_VOCAB // 8)
    for token in ids:
        words[token // 8] |= 1 << token % 8
    booleans = torch.zeros(N_VOCAB, dtype=torch.bool)
    booleans[ids] = True
    forms: dict[str, Any] = {
        "ids": ids,
        "bytes": bytes(words),
        "words": torch.frombuffer(words, dtype=torch.int32),
        "array": torch.frombuffer(words, dtype=torch.int32).numpy(),
        "booleans": booleans,
        "id array": torch.tensor(ids).numpy(),
    }
    return forms[form]


def ids(text: str) -> list[int]:
    return ENCODING.encode(text, allowed_special="all")


THOUGHT = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
CALLING = ids(THOUGHT + "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>")
ANSWER = ids(THOUGHT + "<|channel|>final<|message|>Yes.<|return|>")


# -- masks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["ids", "bytes", "words", "array", "booleans", "id array"])
def test_a_mask_may_have_any_form(form: str) -> None:
    chosen = [0, 31, 32, END, N_VOCAB - 1]
    allowed = permitted(in_form(chosen, form), N_VOCAB + 64)
    assert allowed is not None
    assert allowed.shape == (N_VOCAB + 64,)
    assert allowed.nonzero().flatten().tolist() == chosen


def test_what_is_no_mask_is_an_error() -> None:
    assert permitted(None, 10) is None
    with pytest.raises(EngineError, match="a mask allowed id 10, expected 0 to 9"):
        permitted([3, 10], 10)
    with pytest.raises(EngineError, match="a mask allowed float"):
        permitted(1.5, 10)


@pytest.mark.parametrize("form", ["ids", "bytes", "booleans"])
def test_only_what_the_mask_allows_is_drawn(model: GptOssForCausalLM, form: str) -> None:
    script = Script(ANSWER, form)
    turn = generate_messages(model, QUESTION, mask=script, max_new_tokens=50)
    assert turn.tokens == ANSWER
    assert script.taken == ANSWER[:-1]


def test_rows_of_a_batch_have_masks_of_their_own(model: GptOssForCausalLM) -> None:
    masks = [Script(ANSWER), Script([*ids("Yes."), RETURN])]
    batch = torch.tensor([PROMPT, PROMPT])
    config = generation_config(model)
    drawn = model.generate(
        input_ids=batch, generation_config=config, logits_processor=[MaskProcessor(*masks)], max_new_tokens=50
    )[:, len(PROMPT) :].tolist()
    assert drawn[0] == ANSWER
    assert drawn[1][: len(masks[1].tokens)] == masks[1].tokens
    assert set(drawn[1][len(masks[1].tokens) :]) == {END_OF_TEXT}


def test_a_mask_that_does_not_fit_is_an_error(model: GptOssForCausalLM) -> None:
    with pytest.raises(EngineError, match="the mask of row 0 allows no token"):
        generate_messages(model, QUESTION, mask=Within([]), max_new_tokens=3)
    processor = MaskProcessor(Within([1]), Within([1]))
    with pytest.raises(EngineError, match="2 masks for a batch of 1 rows"):
        processor(torch.tensor([PROMPT]), torch.zeros(1, N_VOCAB))


def test_rows_that_change_places_are_an_error() -> None:
    processor = MaskProcessor(Within([1, 2]), Within([1, 2]))
    scores = torch.zeros(2, 5)
    processor(torch.tensor([[0], [0]]), scores)
    processor(torch.tensor([[0, 1], [0, 2]]), scores)
    with pytest.raises(EngineError, match="row 0 of the batch is another one now"):
        processor(torch.tensor([[0, 2, 1], [0, 1, 1]]), scores)


# -- turns ---------------------------------------------------------------------------------------------------


def test_a_call_ends_the_turn(model: GptOssForCausalLM) -> None:
    turn = generate_messages(model, QUESTION, mask=Script([*CALLING, *ANSWER]), max_new_tokens=50)
    assert turn.tokens == CALLING
    assert turn.finish == "tool_calls"
    assert [(m.channel, m.recipient, m.text) for m in turn.messages] == [
        ("analysis", None, "Hm."),
        ("commentary", "functions.f", "{}"),
    ]
    assert turn.diagnostics == []
    # Without our config the model talks on.
    mask = MaskProcessor(Script([*CALLING, *ANSWER]))
    longer = model.generate(torch.tensor([PROMPT]), logits_processor=[mask], max_new_tokens=len(CALLING) + 3)
    assert longer.shape[1] == len(PROMPT) + len(CALLING) + 3


def test_the_config_is_a_copy(model: GptOssForCausalLM) -> None:
    assert CALL in generation_config(model).eos_token_id
    assert model.generation_config.eos_token_id == RETURN


def test_whatever_a_model_draws_becomes_messages(model: GptOssForCausalLM) -> None:
    torch.manual_seed(1)
    turn = generate_messages(model, QUESTION, do_sample=True, max_new_tokens=20)
    assert turn.tokens
    # Weights that were never trained write text without a header.
    assert "missing_header" in [diagnostic.code for diagnostic in turn.diagnostics]
    assert turn.finish in ("length", "stop")
    cut = generate_messages(model, QUESTION, mask=Script(ANSWER), max_new_tokens=4)
    assert (cut.tokens, cut.finish) == (ANSWER[:4], "length")


# -- streaming -----------------------------------------------------------------------------------------------


def test_events_come_while_it_generates(model: GptOssForCausalLM) -> None:
    streamer = HarmonyStreamer(timeout=60)
    seen = threading.Event()

    class Waiting(Script):
        """Goes on past the thought only once its text has been read."""

        def allowed(self) -> object:
            if len(self.taken) == len(ids(THOUGHT)):
                assert seen.wait(60)
            return super().allowed()

    arguments = {"mask": Waiting(ANSWER), "streamer": streamer, "max_new_tokens": 50}
    thread = threading.Thread(target=generate_messages, args=(model, QUESTION), kwargs=arguments)
    thread.start()
    events = []
    for event in streamer:
        events.append(event)
        if isinstance(event, MessageEnd):
            seen.set()
    thread.join()
    assert [e.header.channel for e in events if isinstance(e, MessageStart)] == ["analysis", "final"]
    assert "".join(e.text for e in events if isinstance(e, ContentDelta)) == "Hm.Yes."
    assert streamer.tokens == ANSWER
    assert [message.text for message in streamer.parser.messages] == ["Hm.", "Yes."]


def test_a_prefilled_message_goes_on(model: GptOssForCausalLM) -> None:
    streamer = HarmonyStreamer()
    rest = [*ids("es."), RETURN]
    prompt = torch.tensor([[*PROMPT, *ids("<|channel|>final<|message|>Y")]])
    model.generate(
        prompt,
        generation_config=generation_config(model),
        logits_processor=[MaskProcessor(Script(rest))],
        streamer=streamer,
        max_new_tokens=9,
    )
    [end] = [event for event in streamer if isinstance(event, MessageEnd)]
    assert end.message.text == "Yes."


def test_a_stream_that_fails_says_so() -> None:
    streamer = HarmonyStreamer(timeout=0.01)
    streamer.put(torch.tensor([PROMPT]))
    streamer.put(torch.tensor([CHANNEL]))
    with pytest.raises(EngineError, match=r"nothing came for 0.01 seconds \(1 tokens had come before\)"):
        list(streamer)
    streamer.fail(MemoryError("full"))
    with pytest.raises(MemoryError, match="full"):
        list(streamer)
    with pytest.raises(EngineError, match="one sequence; the batch has 2"):
        HarmonyStreamer().put(torch.tensor([PROMPT, PROMPT]))


# -- the engine ----------------------------------------------------------------------------------------------


def test_the_engine_gives_tokens_and_what_the_model_thought_of_them(model: GptOssForCausalLM) -> None:
    engine = TransformersEngine(model)
    steps = list(engine.generate(PROMPT, {"max_tokens": 50}, mask=Script(ANSWER)))
    assert [step.token for step in steps] == ANSWER
    assert [step.finish for step in steps] == [None] * (len(ANSWER) - 1) + ["stop"]
    with torch.no_grad():
        logits = model(torch.tensor([PROMPT + ANSWER])).logits[0].log_softmax(-1)
    expected = [float(logits[len(PROMPT) - 1 + i, token]) for i, token in enumerate(ANSWER)]
    assert [step.logprob for step in steps] == pytest.approx(expected, abs=1e-3)


def test_the_engine_draws_as_transformers_does(model: GptOssForCausalLM) -> None:
    steps = list(TransformersEngine(model).generate(PROMPT, {"temperature": 0, "max_tokens": 8}))
    whole = model.generate(
        torch.tensor([PROMPT]), generation_config=generation_config(model), do_sample=False, max_new_tokens=8
    )
    assert [step.token for step in steps] == whole[0, len(PROMPT) :].tolist()
    assert steps[-1].finish == "length"


def test_a_seed_draws_the_same_again(model: GptOssForCausalLM) -> None:
    engine = TransformersEngine(model)
    before = torch.random.get_rng_state()
    sampling = {"seed": 3, "max_tokens": 6, "top_p": 0.9, "top_k": 50, "min_p": 0.0}
    first, again = [[step.token for step in engine.generate(PROMPT, sampling)] for _ in range(2)]
    assert first == again
    assert torch.equal(before, torch.random.get_rng_state())
    assert first != [step.token for step in engine.generate(PROMPT, {**sampling, "seed": 4})]


def test_an_engine_closed_early_is_ready_again(model: GptOssForCausalLM) -> None:
    engine = TransformersEngine(model)
    threads = threading.active_count()
    stream = engine.generate(PROMPT, {"max_tokens": 1000})
    next(stream)
    stream.close()
    assert threading.active_count() == threads
    assert len(list(engine.generate(PROMPT, {"max_tokens": 2}))) == 2
    assert list(engine.generate(PROMPT, {"max_tokens": 0})) == []


def test_what_fails_inside_comes_out_with_what_came_before(model: GptOssForCausalLM) -> None:
    engine = TransformersEngine(model)
    with pytest.raises(EngineError, match=r"IndexError.*\(2 tokens had come before\)") as caught:
        list(engine.generate(PROMPT, mask=Script([CHANNEL, MESSAGE])))
    assert caught.value.tokens == (CHANNEL, MESSAGE)
    with pytest.raises(EngineError, match="unknown option 'top_q'; there are max_tokens"):
        list(engine.generate(PROMPT, {"top_q": 1}))


def test_bias_and_stop_are_the_hosts(model: GptOssForCausalLM) -> None:
    engine = TransformersEngine(model)
    sampling = {"logit_bias": {START: 1000.0}, "stop": [START], "max_tokens": 5}
    assert [(step.token, step.finish) for step in engine.generate(PROMPT, sampling)] == [(START, "stop")]
