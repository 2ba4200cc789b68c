"""How the toy is taught: its codes, its lessons, and that what is trained is the model as it is run."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from harmony_py.chat import Role
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.retention import ANALYSIS
from harmony_py.model import reference
from harmony_py.model.mxfp4 import quantise, unpack
from harmony_py.model.toy_checkpoint import codes
from harmony_py.tokenizer.special import CALL, END, N_VOCAB, RETURN
from training.conversations import EFFORTS, Sample, Situation, sample, weather
from training.initial import initial
from training.lessons import Lessons, padded, twins
from training.model import CONFIG, mapped, rounded, states, trained
from training.names import HELD_OUT_CITIES, Names

ENCODING = load_harmony_encoding()


@pytest.fixture(scope="module")
def names() -> Names:
    return Names()


@pytest.fixture(scope="module")
def embedding() -> torch.Tensor:
    return codes.embedding()


def code(embedding: torch.Tensor, text: str) -> torch.Tensor:
    return embedding[ENCODING.tokenizer.encode_single_token(text)].float()


# -- codes -------------------------------------------------------------------------------------------------


def test_a_space_at_the_beginning_shows_in_the_last_signs_alone(embedding: torch.Tensor) -> None:
    spaced, plain = code(embedding, " Tokyo"), code(embedding, "Tokyo")
    assert torch.equal(spaced[:112], plain[:112])
    assert torch.equal(spaced[112:], torch.ones(16))
    assert torch.equal(plain[112:], -torch.ones(16))


def test_words_are_nearly_at_right_angles(embedding: torch.Tensor) -> None:
    assert embedding.shape == (N_VOCAB, codes.WIDTH)
    words = embedding[
        torch.randperm(N_VOCAB, generator=torch.Generator().manual_seed(0))[:2000], :112
    ].float()
    likeness = (words @ words.T / 112).fill_diagonal_(0).abs()
    # Of two million pairs, some 0.4 are expected this much alike, 17 are words with and without a space.
    assert (likeness > 0.5).sum() < 200


def test_no_token_speaks_for_itself_being_next(embedding: torch.Tensor) -> None:
    unembedding = codes.unembedding(embedding)
    assert torch.equal((embedding.float() * unembedding.float()).sum(1), torch.zeros(N_VOCAB))
    assert torch.equal(unembedding.float().abs(), torch.full(unembedding.shape, codes.LOGIT_SCALE))


def test_twins_differ_in_a_space() -> None:
    one = ENCODING.tokenizer.encode_single_token
    found = twins()
    assert found[one(" Tokyo")] == one("Tokyo")
    assert found[one("Tokyo")] == one(" Tokyo")
    assert found[one(" Brussels")] == one(" Brussels")  # no token lacks the space
    texts = [ENCODING.tokenizer.decode_single_token_bytes(token) for token in range(N_VOCAB)]
    words = torch.tensor([token for token, text in enumerate(texts) if text.removeprefix(b" ").isalpha()])
    assert len(words) > 50_000
    assert torch.equal(found[found][words], words)  # runs of spaces are another matter


# -- lessons -----------------------------------------------------------------------------------------------


def taught(each: Sample) -> list[int]:
    return [token for token, counts in zip(each.tokens, each.loss, strict=True) if counts]


@pytest.mark.parametrize("seed", range(30))
def test_lessons_are_well_formed_and_teach_what_the_assistant_samples(names: Names, seed: int) -> None:
    chance = random.Random(seed)
    each = sample(chance, names, chance.randint(1, 3))
    found = ENCODING.parse(each.tokens)  # strictly
    for span in found.spans:
        message = found.messages[span.message or 0]
        counts = each.loss[span.start : span.end]
        if message.author.role != Role.ASSISTANT:
            assert not any(counts)
        elif span.part == "content":
            assert all(counts)
    assert each.tokens[-1] == RETURN
    assert each.loss[-1]
    # The answer of an old turn ends in a token that was not sampled.
    for place, token in enumerate(each.tokens):
        if token == END and each.loss[place]:
            message = found.messages[next(span.message for span in found.spans if span.end == place + 1) or 0]
            assert message.channel == ANALYSIS


def test_no_lesson_holds_a_city_that_is_held_out(names: Names) -> None:
    chance = random.Random(0)
    taught_words = {
        word
        for _ in range(300)
        for word in ENCODING.decode(sample(chance, names, 2).tokens)
        .replace("?", " ")
        .replace('"', " ")
        .split()
    }
    assert not taught_words & {word for city in HELD_OUT_CITIES for word in city.split()}
    assert len(taught_words) > 1000


def test_efforts_differ_in_the_thoughts_alone(names: Names) -> None:
    turns = {effort: weather(random.Random(5), names, Situation(effort, True, None)) for effort in EFFORTS}
    thoughts = {
        effort: sum(len(message.text) for message in turn.messages if message.channel == ANALYSIS)
        for effort, turn in turns.items()
    }
    assert 0 == thoughts["low"] < thoughts["medium"] < thoughts["high"]
    said = [[m.text for m in turn.messages if m.channel != ANALYSIS] for turn in turns.values()]
    assert said[0] == said[1] == said[2]


def test_calls_are_written_as_the_models_write_them(names: Names) -> None:
    chance = random.Random(1)
    headers = set()
    for _ in range(60):
        tokens = taught(sample(chance, names, 1))
        if CALL in tokens:
            before = ENCODING.decode(tokens).partition('{"city"')[0].rpartition("<|end|>")[2]
            headers.add(before.removeprefix("<|start|>assistant"))
    written = "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
    assert headers == {written, ""}  # nothing where the header is not to be learned


# -- the model ---------------------------------------------------------------------------------------------


def test_what_is_trained_is_the_model() -> None:
    torch.manual_seed(0)
    config = replace(CONFIG, vocab=64)
    embedding, unembedding = torch.randn(2, 64, config.hidden)
    weights = mapped(initial(config), lambda _, tensor: tensor + 0.1 * torch.randn_like(tensor))
    ids = torch.randint(64, (2, 70))
    found = states(weights, embedding[ids], config) @ unembedding.T
    weights = weights._replace(embedding=embedding, unembedding=unembedding)
    expected = torch.stack([reference.forward(weights, config, row) for row in ids])
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_weights_are_rounded_to_what_is_stored_and_gradients_pass() -> None:
    torch.manual_seed(0)
    weights = mapped(initial(CONFIG), lambda _, tensor: tensor.requires_grad_())
    there = rounded(weights)
    up = weights.layers[0].experts.gate_up
    assert isinstance(up, torch.Tensor)
    torch.testing.assert_close(there.layers[0].experts.gate_up, unpack(quantise(up.detach())))
    query = weights.layers[1].attention.query
    torch.testing.assert_close(there.layers[1].attention.query, query.bfloat16().float())
    sum(tensor.sum() for tensor in trained(there)).backward()  # type: ignore[union-attr]
    assert all(torch.equal(tensor.grad, torch.ones_like(tensor)) for tensor in trained(weights))


def test_copying_works_before_anything_is_learned(embedding: torch.Tensor) -> None:
    torch.manual_seed(0)
    words = torch.randint(100_000, (1, 60))
    twice = torch.cat((words, words), dim=1)
    with torch.no_grad():
        found = states(initial(CONFIG), embedding[twice].float())[0, 60:-1]
    logits = found @ codes.unembedding(embedding[words[0]]).float().T
    right = (logits.argmax(1) == torch.arange(1, 60)).float().mean()
    assert right > 0.3  # by chance one of sixty


def test_the_loss_is_about_that_over_the_whole_vocabulary(names: Names) -> None:
    torch.manual_seed(0)
    lessons = Lessons(random.Random(3))
    weights = initial(CONFIG)
    batch = lessons.batch(600)
    with torch.no_grad():
        estimate, _ = lessons.loss(weights, batch)
        predicted, targets = lessons._predicted(weights, *padded(batch))
        whole = torch.nn.functional.cross_entropy(
            predicted @ codes.unembedding(codes.embedding()).float().T, targets
        )
    assert abs(estimate.item() - whole.item()) < 0.1
