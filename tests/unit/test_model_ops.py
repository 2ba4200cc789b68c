"""The heavy operations: the oracle against the plainest loops, the choice, and torch's own checks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from harmony_py.errors import HarmonyError
from harmony_py.model import int8, library, ops
from harmony_py.model.mxfp4 import unpack
from harmony_py.model.random_weights import random_weights
from harmony_py.model.reference import forward
from harmony_py.model.weights import Mxfp4
from tests.tiny_models import TINY, some_ids

WEIGHTS = random_weights(TINY, seed=5)
_, EXPERTS = WEIGHTS.layers[0]
assert isinstance(EXPERTS.gate_up, Mxfp4)
assert isinstance(EXPERTS.down, Mxfp4)


def some_numbers(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def moe_arguments(tokens: int, dtype: torch.dtype = torch.float32) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(tokens)
    chosen = torch.rand(tokens, TINY.experts, generator=generator).argsort(dim=1)[:, :4]
    shares = torch.rand(tokens, 4, generator=generator)
    x = some_numbers(tokens, TINY.hidden, dtype=dtype)
    gate_up, down = (*EXPERTS.gate_up, EXPERTS.gate_up_bias), (*EXPERTS.down, EXPERTS.down_bias)
    return x, chosen, shares, *gate_up, *down, 7.0


def plain_expert(x: list[float], expert: int) -> list[float]:
    """One expert's answer to one token, number by number, in double."""
    gate_up, down = (unpack(matrix)[expert].double().tolist() for matrix in (EXPERTS.gate_up, EXPERTS.down))
    inner = [
        sum(weight * number for weight, number in zip(row, x, strict=True)) + bias
        for row, bias in zip(gate_up, EXPERTS.gate_up_bias[expert].tolist(), strict=True)
    ]
    gates, ups = [min(gate, 7.0) for gate in inner[0::2]], [max(min(up, 7.0), -7.0) for up in inner[1::2]]
    middle = [gate / (1 + math.exp(-1.702 * gate)) * (up + 1) for gate, up in zip(gates, ups, strict=True)]
    return [
        sum(weight * number for weight, number in zip(row, middle, strict=True)) + bias
        for row, bias in zip(down, EXPERTS.down_bias[expert].tolist(), strict=True)
    ]


def test_moe_is_the_sum_of_its_experts() -> None:
    arguments = moe_arguments(3)
    x, chosen, shares = arguments[:3]
    expected = torch.zeros(3, TINY.hidden, dtype=torch.float64)
    for token in range(3):
        for expert, share in zip(chosen[token].tolist(), shares[token].tolist(), strict=True):
            expected[token] += share * torch.tensor(
                plain_expert(x[token].tolist(), expert), dtype=torch.float64
            )
    torch.testing.assert_close(ops.moe(*arguments).double(), expected, rtol=1e-4, atol=1e-4)


def test_tokens_do_not_know_of_each_other() -> None:
    x, chosen, shares, *rest = moe_arguments(9)
    together = ops.moe(x, chosen, shares, *rest)
    for token in range(9):
        alone = ops.moe(x[token : token + 1], chosen[token : token + 1], shares[token : token + 1], *rest)
        torch.testing.assert_close(alone[0], together[token], rtol=1e-5, atol=1e-5)


def test_no_tokens_are_nothing_to_do() -> None:
    for name in ("torch", "rust", "library"):
        kernels = ops.kernels(name)
        assert kernels.moe(*moe_arguments(0)).shape == (0, TINY.hidden)
        assert kernels.linear(some_numbers(0, 64), some_numbers(5, 64), None).shape == (0, 5)


@pytest.mark.parametrize("expert", [-1, 8, 1 << 40])
def test_an_expert_that_there_is_not(expert: int) -> None:
    x, chosen, shares, *rest = moe_arguments(3)
    chosen[1, 2] = expert
    for name in ("torch", "rust"):
        with pytest.raises(IndexError, match=str(expert)):
            ops.kernels(name).moe(x, chosen, shares, *rest)


def test_a_linear_casts_its_weights_and_not_its_input() -> None:
    x, weight = some_numbers(3, 64), some_numbers(5, 64, dtype=torch.bfloat16)
    bias = some_numbers(5, dtype=torch.bfloat16)
    assert torch.equal(ops.linear(x, weight, bias), x @ weight.float().T + bias.float())
    assert ops.linear(x.bfloat16(), weight, bias).dtype == torch.bfloat16
    assert ops.linear(x.bfloat16(), weight.float(), bias.float()).dtype == torch.bfloat16


def test_an_mxfp4_linear_is_a_linear_of_what_is_unpacked() -> None:
    matrix = Mxfp4(EXPERTS.down.blocks[1], EXPERTS.down.scales[1])
    for dtype in (torch.float32, torch.bfloat16):
        x = some_numbers(3, TINY.intermediate, dtype=dtype)
        expected = ops.linear(x, unpack(matrix, dtype), EXPERTS.down_bias[1])
        assert torch.equal(ops.mxfp4_linear(x, *matrix, EXPERTS.down_bias[1]), expected)


def test_every_implementation_goes_by_its_name() -> None:
    for name in ("torch", "library", "rust"):
        assert ops.kernels(name).name == name
    assert ops.kernels("torch") == ops.TORCH
    assert ops.kernels("auto") == ops.kernels("rust", torch.device("cpu"))
    assert ops.kernels("auto", "meta") == ops.TORCH
    with pytest.raises(HarmonyError, match="kernels 'rust': expected a device of type cpu, found meta"):
        ops.kernels("rust", "meta")
    with pytest.raises(HarmonyError, match=r"kernels: expected one of auto, torch, .*, found 'fast'"):
        ops.kernels("fast")


ARGUMENTS = {
    "linear": lambda: (some_numbers(3, 64), some_numbers(5, 64, dtype=torch.bfloat16), None),
    "mxfp4_linear": lambda: (
        some_numbers(3, TINY.hidden),
        EXPERTS.gate_up.blocks[0],
        EXPERTS.gate_up.scales[0],
        EXPERTS.gate_up_bias[0],
    ),
    "int8_linear": lambda: (some_numbers(3, 64), *int8.quantise(some_numbers(5, 64)), some_numbers(5)),
    "moe": lambda: moe_arguments(3),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_torch_finds_nothing_wrong_with_the_operation(name: str) -> None:
    results = torch.library.opcheck(getattr(library, name), ARGUMENTS[name]())
    assert set(results.values()) == {"SUCCESS"}
    assert len(results) >= 3


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_operation_is_the_function(name: str) -> None:
    arguments = ARGUMENTS[name]()
    registered = getattr(torch.ops.harmony_py, name)(*arguments)
    assert torch.equal(registered, getattr(ops.kernels("auto"), name)(*arguments))


def test_a_compiler_keeps_the_operation_whole() -> None:
    x, chosen, shares, *rest = moe_arguments(5)
    kernels = ops.kernels("library")

    def step(x: torch.Tensor) -> torch.Tensor:
        return x + kernels.moe(x, chosen, shares, *rest)

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), step(x))


def test_the_reference_runs_on_any_kernels() -> None:
    ids = some_ids(20)
    expected = forward(WEIGHTS, TINY, ids)
    for name in ("rust", "library"):
        found = forward(WEIGHTS, TINY, ids, kernels=ops.kernels(name))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
