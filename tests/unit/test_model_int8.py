"""Eight bits: what is lost to them, number by number; the kernel beside the oracle; a whole model in them."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from harmony_py.errors import CheckpointError, HarmonyError
from harmony_py.model import Model, Sampling, checkpoint, int8, load, memory, ops, save
from harmony_py.model.forward import Row
from harmony_py.model.kernels import cpu
from harmony_py.model.random_weights import random_weights
from harmony_py.model.reference import forward
from harmony_py.model.weights import Int8
from tests.tiny_models import LAYOUTS, TINY, in_every_layout, some_ids

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from harmony_py.model.weights import Weights

DTYPES = (torch.float32, torch.bfloat16)
IDS = some_ids(20).tolist()

SMALLEST = Fraction(2) ** -133
"""The smallest bfloat16."""


def some(*shape: int, seed: int = 0, spread: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * spread


# Numbers.

SIZES = (
    st.floats(-(2.0**127), 2.0**127, width=32)
    | st.floats(-1, 1, width=32)
    | st.sampled_from([0.0, -0.0, 1e-45, 9e-41])
)


@given(st.lists(st.lists(SIZES, min_size=32, max_size=32), min_size=1, max_size=4))
def test_no_number_is_off_by_more_than_half_of_the_smallest_scale_that_would_do(
    groups: list[list[float]],
) -> None:
    numbers = torch.tensor(groups).view(1, -1)
    made = int8.quantise(numbers)
    assert (made.numbers.dtype, made.scales.dtype) == (torch.int8, torch.bfloat16)
    found = int8.unpack(made).double().tolist()[0]
    for group, values in enumerate(groups):
        scale = Fraction(made.scales[0, group].item())
        largest = max(abs(Fraction(value)) for value in values)
        # The next bfloat16 above a 127th of the largest, or the smallest that there is.
        assert largest / 127 * (1 - Fraction(1, 1 << 20)) <= scale
        assert scale <= max(largest / 127 * (1 + Fraction(1, 127)), SMALLEST)
        for place, value in enumerate(values):
            error = abs(Fraction(found[32 * group + place]) - Fraction(value))
            assert error <= scale * (Fraction(1, 2) + Fraction(1, 1 << 16))
    assert made.numbers.min() >= -127


@given(st.lists(st.integers(-127, 127), min_size=31, max_size=31), st.integers(0, 0x7B00))
def test_whole_multiples_of_a_scale_come_back(numbers: list[int], bits: int) -> None:
    scale = torch.tensor([[bits]], dtype=torch.int16).view(torch.bfloat16)
    matrix = Int8(torch.tensor([[127, *numbers]], dtype=torch.int8), scale)
    again = int8.quantise(int8.unpack(matrix))
    assert torch.equal(int8.unpack(again), int8.unpack(matrix))


def test_a_row_by_hand() -> None:
    numbers = torch.tensor([[127.0, -63.5, 0.5, 1.5, -0.5, 0.49, *[0.0] * 26, *[0.0] * 32]])
    made = int8.quantise(numbers)
    assert made.scales.tolist() == [[1.0, 0.0]]
    # Ties go to the even one.
    assert made.numbers[0, :6].tolist() == [127, -64, 0, 2, 0, 0]
    assert not made.numbers[0, 6:].any()


def test_large_matrices_are_made_in_parts_that_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = some(37, 96).bfloat16()
    whole = int8.quantise(numbers)
    monkeypatch.setattr(int8, "_AT_ONCE", 200)
    assert all(map(torch.equal, int8.quantise(numbers), whole))
    # So are rows that are parts of others' memory.
    assert all(map(torch.equal, int8.quantise(numbers[5:9]), (whole.numbers[5:9], whole.scales[5:9])))
    assert all(map(torch.equal, int8.quantise(numbers.T.contiguous().T), whole))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_refused_with_its_place(value: float) -> None:
    numbers = some(40, 64)
    numbers[7, 33] = value
    with pytest.raises(HarmonyError, match=rf"number \(7, 33\): expected a finite one, found {value}"):
        int8.quantise(numbers)
    with pytest.raises(HarmonyError, match="columns: expected a multiple of 32, found 63"):
        int8.quantise(numbers[:, :63])


# The kernel.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
@given(st.integers(1, 19), st.integers(1, 70), st.integers(1, 20), st.booleans(), st.integers(-40, 40))
def test_the_kernel_is_the_oracle(
    implementation: str, dtype: torch.dtype, tokens: int, rows: int, groups: int, biased: bool, power: int
) -> None:
    seed = tokens * rows * groups
    x = some(tokens, groups * 32, seed=seed).to(dtype)
    matrix = int8.quantise(some(rows, groups * 32, seed=seed + 1, spread=2.0**power))
    bias = some(rows, seed=seed + 2, spread=2.0**power).bfloat16() if biased else None
    found = cpu.int8_linear(x, *matrix, bias, implementation=implementation)
    exact = ops.linear(x.double(), int8.unpack(matrix), bias)
    # A float32 sum of so many products, by the sizes that are summed; then one rounding to the type of x.
    sizes = ops.linear(x.double().abs(), int8.unpack(matrix).abs(), None if bias is None else bias.abs())
    allowed = sizes * 2.0**-22 + exact.abs() * (2.0**-8 if dtype == torch.bfloat16 else 0)
    assert ((found.double() - exact).abs() <= allowed).all()
    assert found.dtype == dtype
    oracle = ops.int8_linear(x, *matrix, bias)
    assert oracle.dtype == dtype
    assert ((oracle.double() - exact).abs() <= allowed).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
def test_sums_without_rounding_are_the_same_to_the_last_bit(implementation: str, dtype: torch.dtype) -> None:
    """Small whole numbers and one scale: every order of the sum gives the same."""
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randint(-128, 128, (70, 544), dtype=torch.int8, generator=generator)
    scales = torch.full((70, 17), 0.375, dtype=torch.bfloat16)
    for tokens in (1, 2, 3, 4, 5, 9):
        x = torch.randint(-4, 5, (tokens, 544), generator=generator).to(dtype)
        found = cpu.int8_linear(x, numbers, scales, implementation=implementation)
        assert torch.equal(found, ops.int8_linear(x, numbers, scales))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
def test_neither_threads_nor_other_tokens_change_a_bit(implementation: str, dtype: torch.dtype) -> None:
    x, matrix = some(21, 544).to(dtype), int8.quantise(some(200, 544, seed=1))
    threads = torch.get_num_threads()
    whole = cpu.int8_linear(x, *matrix, implementation=implementation)
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            assert torch.equal(cpu.int8_linear(x, *matrix, implementation=implementation), whole)
    finally:
        torch.set_num_threads(threads)
    for start, end in ((0, 1), (4, 6), (6, 9), (9, 13), (13, 21)):
        part = cpu.int8_linear(x[start:end], *matrix, implementation=implementation)
        assert torch.equal(part, whole[start:end])


@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
def test_rows_of_zeros_and_of_the_smallest_numbers(implementation: str) -> None:
    weight = some(4, 64)
    weight[0], weight[1], weight[2, :32] = 0, 9.2e-41, 1e-45
    x = some(3, 64, seed=1)
    found = cpu.int8_linear(x, *int8.quantise(weight), implementation=implementation)
    assert not found[:, 0].any()
    torch.testing.assert_close(found[:, 1], (x * 9.2e-41).sum(1), rtol=1e-2, atol=1e-42)
    assert found[:, 2].isfinite().all()


def test_other_types_are_left_to_torch_and_no_tokens_are_nothing_to_do() -> None:
    x, matrix = some(3, 64), int8.quantise(some(5, 64, seed=1))
    assert torch.equal(cpu.int8_linear(x.double(), *matrix), ops.int8_linear(x.double(), *matrix))
    assert torch.equal(cpu.int8_linear(x.half(), *matrix), ops.int8_linear(x.half(), *matrix))
    assert cpu.int8_linear(x[:0], *matrix).shape == (0, 5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": torch.zeros(3, 32)}, "x: expected 64 columns, found 32"),
        ({"numbers": torch.zeros(5, 64)}, "numbers: expected int8, found float32"),
        ({"numbers": torch.zeros(5, 64, dtype=torch.uint8)}, "numbers: expected int8, found uint8"),
        (
            {"numbers": torch.zeros(5, 63, dtype=torch.int8)},
            "numbers: expected a multiple of 32 columns, found 63",
        ),
        ({"numbers": torch.zeros(64, 5, dtype=torch.int8).T}, "numbers: expected a contiguous tensor"),
        ({"numbers": torch.zeros(320, dtype=torch.int8)}, "numbers: expected 2 dimensions"),
        ({"scales": torch.zeros(5, 2)}, "scales: expected bfloat16, found float32"),
        (
            {"scales": torch.zeros(5, 1, dtype=torch.bfloat16)},
            r"scales: expected shape \[5, 2\], found \[5, 1\]",
        ),
        ({"bias": torch.zeros(6)}, r"bias: expected shape \[5\], found \[6\]"),
        ({"implementation": "abacus"}, "implementation: expected one of"),
        ({"scales": torch.ones(5, 2, dtype=torch.bfloat16, requires_grad=True)}, "give no gradients"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(arguments: dict[str, Any], words: str) -> None:
    numbers, scales = int8.quantise(torch.zeros(5, 64))
    with pytest.raises(HarmonyError, match=words):
        cpu.int8_linear(**{"x": torch.zeros(3, 64), "numbers": numbers, "scales": scales} | arguments)


# A whole model.


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_every_layout(tmp_path_factory.mktemp("models"))


def matrices(weights: Weights) -> list[Any]:
    attention = [getattr(layer.attention, name) for layer in weights.layers for name in int8.MATRICES]
    return [*attention, weights.unembedding]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_model_is_loaded_in_eight_bits(models: Path, layout: str) -> None:
    told: list[tuple[int, int]] = []
    plain = load(models / layout, dtype="float32")
    model = load(models / layout, dtype="float32", dense="int8", progress=lambda *each: told.append(each))
    total = TINY.layers * 4 + 1
    assert told == [(done, total) for done in range(1, total + 1)]
    for small, stored in zip(matrices(model.weights), matrices(plain.weights), strict=True):
        assert isinstance(small, Int8)
        assert all(map(torch.equal, small, int8.quantise(stored)))
    # Everything else is what it was.
    assert torch.equal(model.weights.embedding, plain.weights.embedding)
    assert torch.equal(model.weights.layers[1].experts.router, plain.weights.layers[1].experts.router)
    saved = sum(
        stored.nbytes - sum(part.nbytes for part in int8.quantise(stored))
        for stored in matrices(plain.weights)
    )
    assert plain.decoder.bytes_per_token(9) - model.decoder.bytes_per_token(9) == saved
    opened = checkpoint.open(models / layout)
    assert opened.bytes() - opened.bytes_with_int8() == saved


@pytest.mark.parametrize("seed", range(4))
def test_its_logits_are_about_as_near_to_the_exact_ones_as_bfloat16s(seed: int) -> None:
    """With every expert chosen: of those that nearly tie, rounding would otherwise choose others."""
    config, ids = replace(TINY, experts_per_token=TINY.experts), some_ids(40)
    weights = random_weights(config, seed=seed)
    exact = forward(weights, config, ids)
    found = forward(int8.quantised(weights), config, ids)
    narrow = forward(weights, config, ids, dtype=torch.bfloat16)
    assert torch.cosine_similarity(exact, found).min() > 0.998
    assert 0 < (exact - found).abs().max() < 1.5 * (exact - narrow).abs().max()


@pytest.mark.parametrize("kernels", ["torch", "rust", "library"])
def test_all_kernels_and_the_reference_agree(models: Path, kernels: str) -> None:
    model = load(models / "original", dtype="float32", dense="int8", kernels=kernels)
    [found] = model.decoder.run([Row(model.new_cache(), IDS, wanted=len(IDS))])
    torch.testing.assert_close(found, model.logits(IDS), rtol=0, atol=1e-4)


def test_guesses_and_company_change_no_token(models: Path) -> None:
    model = load(models / "original", dense="int8")
    sampling = Sampling(temperature=0, max_tokens=20, stop=[])
    prompt = IDS[:6] * 3
    alone = [step.token for step in model.generate(prompt, sampling)]
    assert [step.token for step in model.generate(prompt, sampling, speculate=3)] == alone
    drawn = [step.token for row, step in model.generate_batch([IDS, prompt], sampling) if row == 1]
    assert drawn == alone


def test_what_is_not_finite_is_named(models: Path, tmp_path: Path) -> None:
    for name, place in (
        ("model.layers.2.self_attn.k_proj.weight", "layer 2, attention.key"),
        ("lm_head.weight", "unembedding"),
    ):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "config.json").write_bytes((models / "packed" / "config.json").read_bytes())
        tensors = load_file(models / "packed" / "model.safetensors")
        tensors[name][3, 5] = math.inf
        save_file(tensors, folder / "model.safetensors")
        with pytest.raises(
            CheckpointError, match=rf"^{place}: number \(3, 5\): expected a finite one, found inf"
        ):
            load(folder, dense="int8")


def test_wrong_options_are_named(models: Path) -> None:
    with pytest.raises(CheckpointError, match="dense: expected one of stored, int8, found 'int4'"):
        load(models / "original", dense="int4")
    for device in ("cuda", "meta"):
        with pytest.raises(
            CheckpointError, match=f"dense 'int8': expected the device to be the CPU, found {device}"
        ):
            load(models / "original", dense="int8", device=device)


def test_memory_is_asked_for_what_will_be_held(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = checkpoint.open(models / "original")
    room = opened.bytes_with_int8() + TINY.cache_bytes(1000)
    assert room < TINY.total_bytes(1000)
    monkeypatch.setattr(memory, "available", lambda device: room)
    assert load(models / "original", max_context=1000, dense="int8").max_context == 1000
    for options in ({"dense": "int8", "max_context": 1001}, {"max_context": 1000}):
        with pytest.raises(CheckpointError, match=f"bytes of memory on cpu, found {room:,}"):
            load(models / "original", **options)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_checkpoint_is_written_of_it(tmp_path: Path, layout: str) -> None:
    weights = int8.quantised(random_weights(TINY, seed=1))
    with pytest.raises(CheckpointError, match="found one in eight bits; load them without dense='int8'"):
        save(tmp_path / layout, TINY, weights, layout=layout)


def test_weights_are_quantised_once(models: Path) -> None:
    once = int8.quantised(random_weights(TINY, seed=1))
    again = int8.quantised(once)
    assert all(one is two for one, two in zip(matrices(once), matrices(again), strict=True))
    assert Model(TINY, once).logits([1, 2]).shape == (2, TINY.vocab)
