"""The Rust kernels for the processor: each beside plain torch and its slow twin; and what they refuse."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmony_py import _rust
from harmony_py.errors import HarmonyError
from harmony_py.model import ops
from harmony_py.model.kernels import cpu
from harmony_py.model.mxfp4 import VALUES, unpack
from harmony_py.model.random_weights import random_weights
from harmony_py.model.reference import forward
from harmony_py.model.weights import Mxfp4
from tests.tiny_models import TINY, some_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

DTYPES = (torch.float32, torch.bfloat16)
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 8e-3}
"""As a share of the largest number: a few roundings of either type."""


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


class Some:
    """Random tensors, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def numbers(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(*shape, generator=self.generator).to(dtype)

    def bytes(self, *shape: int, low: int = 0, high: int = 256) -> Tensor:
        return torch.randint(low, high, shape, generator=self.generator, dtype=torch.uint8)

    def packed(self, *shape: int) -> Mxfp4:
        *rows, columns = shape
        return Mxfp4(
            self.bytes(*rows, columns // 32, 16), self.bytes(*rows, columns // 32, low=119, high=124)
        )

    def layer(self, tokens: int, dtype: torch.dtype, experts: int = 8, top: int = 4) -> list[Any]:
        """Arguments of `moe`, with a hidden size of 96 and an intermediate one of 160."""
        chosen = torch.rand(tokens, experts, generator=self.generator).argsort(dim=1)[:, :top]
        gate_up = (*self.packed(experts, 320, 96), self.numbers(experts, 320, dtype=torch.bfloat16))
        down = (*self.packed(experts, 96, 160), self.numbers(experts, 96, dtype=torch.bfloat16))
        shares = torch.rand(tokens, top, generator=self.generator)
        return [self.numbers(tokens, 96, dtype=dtype), chosen, shares, *gate_up, *down, 7.0]


def assert_close(found: Tensor, expected: Tensor, times: float = 1) -> None:
    """Differs by no more than rounding does, which goes by the largest number, not by each."""
    assert found.dtype == expected.dtype
    largest = expected.abs().max().item()
    tolerance = times * TOLERANCE[found.dtype] * largest
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def exact(arguments: list[Any]) -> list[Any]:
    """`arguments` with wider numbers: `ops` rounds each step to the type of x, the kernel does not."""
    return [
        argument.double() if isinstance(argument, torch.Tensor) and argument.is_floating_point() else argument
        for argument in arguments
    ]


def test_the_best_implementation_comes_first_and_the_twin_last() -> None:
    assert cpu.IMPLEMENTATIONS[-1] == "scalar"
    assert len(set(cpu.IMPLEMENTATIONS)) == len(cpu.IMPLEMENTATIONS)
    assert set(cpu.IMPLEMENTATIONS) <= {"avx512bf16", "avx512", "avx2", "neon", "scalar"}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
@given(st.integers(1, 19), st.integers(1, 70), st.integers(1, 300), st.booleans(), st.booleans())
def test_a_linear_is_torchs(
    implementation: str, dtype: torch.dtype, tokens: int, rows: int, columns: int, wide: bool, biased: bool
) -> None:
    some = Some(tokens * rows * columns)
    x = some.numbers(tokens, columns, dtype=dtype)
    weight = some.numbers(rows, columns, dtype=torch.float32 if wide else torch.bfloat16)
    bias = some.numbers(rows, dtype=torch.bfloat16) if biased else None
    found = cpu.linear(x, weight, bias, implementation=implementation)
    expected = ops.linear(x.double(), weight, bias).to(dtype)
    # By the sizes that are summed: a sum of few rows may come out near zero.
    sizes = ops.linear(x.double().abs(), weight.abs(), None if bias is None else bias.abs())
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype] * sizes.max().item())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
@given(st.integers(1, 19), st.integers(1, 70), st.integers(1, 20), st.booleans())
def test_an_mxfp4_linear_is_torchs(
    implementation: str, dtype: torch.dtype, tokens: int, rows: int, groups: int, biased: bool
) -> None:
    some = Some(tokens * rows * groups)
    x, matrix = some.numbers(tokens, groups * 32, dtype=dtype), some.packed(rows, groups * 32)
    bias = some.numbers(rows, dtype=dtype) if biased else None
    found = cpu.mxfp4_linear(x, *matrix, bias, implementation=implementation)
    expected = ops.linear(x.double(), unpack(matrix), bias)
    assert_close(found, expected.to(dtype), times=groups)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", [1, 2])
@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
def test_every_number_with_every_scale_is_what_the_table_says(
    implementation: str, tokens: int, dtype: torch.dtype
) -> None:
    """A row for each scale, a block for each number; each token has a one in one place of every block."""
    blocks = torch.tensor([code | code << 4 for code in range(16)], dtype=torch.uint8)
    blocks = blocks[None, :, None].expand(256, 16, 16).contiguous()
    scales = torch.arange(256, dtype=torch.uint8)[:, None].expand(256, 16).contiguous()
    for code in range(16):
        x = torch.zeros(tokens, 512, dtype=dtype)
        x[:, code * 32 + code] = 1
        found = cpu.mxfp4_linear(x, blocks, scales, implementation=implementation)
        exact = torch.tensor(VALUES[code]).double() * torch.exp2(torch.arange(256).double() - 127)
        expected = exact.to(dtype)
        # Next to infinity nothing is exact: a row that has one is not a number where x is zero.
        finite = slice(0, 253)
        for token in range(tokens):
            assert torch.equal(found[token, finite], expected[finite])
            assert found[token, 255].isnan()


@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
@pytest.mark.parametrize("tokens", [1, 2, 3, 7, 33])
def test_moe_in_float32_is_torchs(tokens: int, implementation: str) -> None:
    arguments = Some(tokens).layer(tokens, torch.float32)
    found = cpu.moe(*arguments, implementation=implementation)
    assert_close(found, ops.moe(*exact(arguments)).float(), times=20)


@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
@pytest.mark.parametrize("tokens", [1, 2, 3, 7, 33])
def test_moe_in_bfloat16_is_nearer_to_the_truth_than_torchs(tokens: int, implementation: str) -> None:
    arguments = Some(tokens).layer(tokens, torch.bfloat16)
    truth = ops.moe(*exact(arguments))
    found = cpu.moe(*arguments, implementation=implementation)
    assert found.dtype == torch.bfloat16
    assert_close(found, truth.bfloat16(), times=2)
    error = (found.double() - truth).abs().mean()
    assert error <= (ops.moe(*arguments).double() - truth).abs().mean()


@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
def test_the_activation_is_cut_at_its_limits(implementation: str) -> None:
    arguments = Some(1).layer(5, torch.float32)
    arguments[5] = arguments[5].float() * 20
    for limit in (7.0, 0.5):
        arguments[-1] = limit
        found = cpu.moe(*arguments, implementation=implementation)
        assert_close(found, ops.moe(*exact(arguments)).float(), times=20)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
def test_neither_threads_nor_other_tokens_change_a_bit(implementation: str, dtype: torch.dtype) -> None:
    some = Some(3)
    arguments = some.layer(21, dtype)
    x, weight, matrix = arguments[0], some.numbers(200, 96, dtype=torch.bfloat16), some.packed(200, 96)

    def run(tokens: slice) -> list[Tensor]:
        own = [argument[tokens] for argument in arguments[:3]]
        return [
            cpu.linear(x[tokens], weight, implementation=implementation),
            cpu.mxfp4_linear(x[tokens], *matrix, implementation=implementation),
            cpu.moe(*own, *arguments[3:], implementation=implementation),
        ]

    whole = run(slice(None))
    for threads in (1, 3):
        torch.set_num_threads(threads)
        for again, first in zip(run(slice(None)), whole, strict=True):
            assert torch.equal(again, first)
    for start, end in ((0, 1), (4, 6), (6, 9), (9, 13), (13, 21)):
        for part, first in zip(run(slice(start, end)), whole, strict=True):
            assert torch.equal(part, first[start:end])


def test_a_scale_that_is_not_a_number_reaches_its_own_rows_only() -> None:
    some = Some(4)
    matrix = some.packed(40, 64)
    matrix.scales[7, 1] = 255
    found = cpu.mxfp4_linear(some.numbers(3, 64, dtype=torch.bfloat16), *matrix)
    assert found.isnan().any(dim=0).nonzero().flatten().tolist() == [7]
    assert found[:, 7].isnan().all()


@pytest.mark.parametrize("implementation", cpu.IMPLEMENTATIONS)
def test_tiny_and_huge_scales_are_exact_beside_usual_ones(implementation: str) -> None:
    some = Some(5)
    matrix = some.packed(40, 64)
    matrix.scales[3], matrix.scales[4, 0], matrix.scales[5] = 0, 1, 240
    x = some.numbers(9, 64, dtype=torch.bfloat16)
    found = cpu.mxfp4_linear(x, *matrix, implementation=implementation)
    expected = ops.linear(x.double(), unpack(matrix))
    torch.testing.assert_close(found.double(), expected, rtol=0.1, atol=1e-39)


def test_the_whole_model_runs_on_them() -> None:
    weights, ids = random_weights(TINY, seed=5), some_ids(40)
    found = forward(weights, TINY, ids, kernels=ops.kernels("rust"))
    torch.testing.assert_close(found, forward(weights, TINY, ids), rtol=0, atol=1e-4)


def test_what_they_do_not_support_is_left_to_torch() -> None:
    some = Some(6)
    arguments = exact(some.layer(3, torch.float32))
    assert not cpu.supports(arguments[0])
    assert torch.equal(cpu.moe(*arguments), ops.moe(*arguments))
    x, matrix = arguments[0], some.packed(5, 96)
    assert torch.equal(cpu.mxfp4_linear(x, *matrix), ops.mxfp4_linear(x, *matrix))
    weight = some.numbers(5, 96)
    assert torch.equal(cpu.linear(x, weight), ops.linear(x, weight))
    assert torch.equal(cpu.linear(x.half(), weight.half()), ops.linear(x.half(), weight.half()))


def test_strided_tokens_are_taken_and_no_tokens_are_nothing_to_do() -> None:
    some = Some(7)
    x, weight = some.numbers(64, 10).T, some.numbers(5, 64)
    assert torch.equal(cpu.linear(x, weight), cpu.linear(x.contiguous(), weight))
    assert cpu.linear(x[:0], weight).shape == (0, 5)
    assert cpu.moe(*some.layer(0, torch.bfloat16)).shape == (0, 96)


# What is refused.


def wrong(index: int, value: Any) -> list[Any]:
    arguments = Some(8).layer(3, torch.float32)
    arguments[index] = value
    return arguments


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (0, torch.zeros(3, 95), r"gate_up_blocks: expected 95 columns, found 96|down_blocks"),
        (0, torch.zeros(96), r"x: expected 2 dimensions, none empty, found \[96\]"),
        (1, torch.zeros(3, 4), "experts: expected int64, found float32"),
        (1, torch.zeros(2, 4, dtype=torch.int64), r"experts: expected shape \[3, 4\], found \[2, 4\]"),
        (2, torch.zeros(3, 5), r"shares: expected shape \[3, 4\], found \[3, 5\]"),
        (2, torch.zeros(3, 4, dtype=torch.float64), "shares: expected float32 or bfloat16, found float64"),
        (3, torch.zeros(8, 320, 3, 16), "gate_up_blocks: expected uint8, found float32"),
        (3, torch.zeros(8, 321, 3, 16, dtype=torch.uint8), "gate_up_blocks: expected an even number of rows"),
        (
            3,
            torch.zeros(8, 320, 3, 15, dtype=torch.uint8),
            r"gate_up_blocks: expected shape \[8, 320, 3, 16\]",
        ),
        (3, torch.zeros(8, 320, 2, 16, dtype=torch.uint8), r"gate_up_scales: expected shape \[8, 320, 2\]"),
        (4, torch.zeros(8, 320, 3, dtype=torch.int8), "gate_up_scales: expected uint8, found int8"),
        (4, torch.zeros(8, 3, 320, dtype=torch.uint8).mT, "gate_up_scales: expected a contiguous tensor"),
        (5, torch.zeros(8, 319), r"gate_up_bias: expected shape \[8, 320\]"),
        (6, torch.zeros(7, 96, 5, 16, dtype=torch.uint8), r"down_blocks: expected shape \[8, 96, 5, 16\]"),
        (8, torch.zeros(8, 96, 1), r"down_bias: expected shape \[8, 96\], found \[8, 96, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(index: int, value: Any, message: str) -> None:
    with pytest.raises(HarmonyError, match=message):
        cpu.moe(*wrong(index, value))


@pytest.mark.parametrize("expert", [8, -1, 2**40, -(2**63)])
def test_an_expert_that_there_is_not_is_an_index_error(expert: int) -> None:
    chosen = torch.zeros(3, 4, dtype=torch.int64)
    chosen[2, 1] = expert
    with pytest.raises(IndexError, match=rf"experts\[2, 1\]: expected 0 to 7, found {expert}"):
        cpu.moe(*wrong(1, chosen))


def test_a_linear_refuses_what_does_not_fit() -> None:
    x, weight = torch.zeros(3, 64), torch.zeros(5, 64)
    with pytest.raises(HarmonyError, match="x: expected 64 columns, found 32"):
        cpu.linear(x[:, :32], weight)
    with pytest.raises(HarmonyError, match="weight: expected a contiguous tensor"):
        cpu.linear(x[:, :5], weight.T[:5].T.T[:, :5].T)
    with pytest.raises(HarmonyError, match=r"bias: expected shape \[5\], found \[6\]"):
        cpu.linear(x, weight, torch.zeros(6))
    with pytest.raises(HarmonyError, match=r"implementation: expected one of .*scalar, found abacus"):
        cpu.linear(x, weight, implementation="abacus")
    with pytest.raises(HarmonyError, match="give no gradients"):
        cpu.linear(x, weight.requires_grad_())
    with torch.no_grad():
        assert cpu.linear(x, weight).shape == (3, 5)


def test_the_door_takes_fresh_capsules_only() -> None:
    x, weight, out = torch.zeros(3, 64), torch.zeros(5, 64), torch.zeros(3, 5)
    with pytest.raises(TypeError, match="expected a capsule"):
        _rust.kernel_linear(x, torch.to_dlpack(weight), None, torch.to_dlpack(out))
    capsule = torch.to_dlpack(x)
    _rust.kernel_linear(capsule, torch.to_dlpack(weight), None, torch.to_dlpack(out))
    with pytest.raises(TypeError, match="used once"):
        _rust.kernel_linear(capsule, torch.to_dlpack(weight), None, torch.to_dlpack(out))
    with pytest.raises(HarmonyError, match="threads: expected at least 1, found 0"):
        _rust.kernel_linear(
            torch.to_dlpack(x), torch.to_dlpack(weight), None, torch.to_dlpack(out), threads=0
        )


def test_the_output_fits_and_has_memory_of_its_own() -> None:
    memory = torch.zeros(1000)
    x, weight = memory[:192].view(3, 64), torch.zeros(5, 64)

    def run(out: Tensor) -> None:
        _rust.kernel_linear(torch.to_dlpack(x), torch.to_dlpack(weight), None, torch.to_dlpack(out))

    run(memory[192:207].view(3, 5))
    for start in (0, 180, 191):
        with pytest.raises(HarmonyError, match="out: expected memory of its own, found some of x's"):
            run(memory[start : start + 15].view(3, 5))
    with pytest.raises(HarmonyError, match=r"out: expected shape \[3, 5\], found \[5, 3\]"):
        run(torch.zeros(5, 3))
    with pytest.raises(HarmonyError, match="out: expected float32, found bfloat16"):
        run(torch.zeros(3, 5, dtype=torch.bfloat16))
    with pytest.raises(HarmonyError, match="out: expected a contiguous tensor"):
        run(torch.zeros(1, 5).expand(3, 5))


def test_a_tensor_is_given_back_whatever_happens() -> None:
    x, weight = torch.zeros(3, 64), torch.zeros(5, 64)
    before = sys.getrefcount(x), torch._C._storage_Use_Count(x.untyped_storage()._cdata)
    for _ in range(5):
        cpu.linear(x, weight)
        with pytest.raises(HarmonyError):
            cpu.linear(x, weight[:, :32].contiguous())
    assert (sys.getrefcount(x), torch._C._storage_Use_Count(x.untyped_storage()._cdata)) == before


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="this system has no mprotect")
def test_nothing_is_read_behind_a_tensors_end() -> None:
    """Every tensor ends where memory does: a step further ends the process."""
    ran = subprocess.run([sys.executable, "-c", AT_THE_EDGE], capture_output=True, text=True, timeout=120)
    assert (ran.stdout, ran.returncode) == ("alive\n", 0), ran.stderr


AT_THE_EDGE = """
import ctypes, mmap, torch
from harmony_py.model.kernels import cpu

page, kept = mmap.PAGESIZE, []
libc = ctypes.CDLL(None, use_errno=True)

def at_the_edge(tensor):
    size = tensor.nbytes
    whole = -(-size // page) * page
    memory = mmap.mmap(-1, whole + page)
    kept.append(memory)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert libc.mprotect(ctypes.c_void_p(start + whole), ctypes.c_size_t(page), 0) == 0
    there = torch.frombuffer(memory, dtype=torch.uint8, count=size, offset=whole - size)
    return there.view(tensor.dtype).view(tensor.shape).copy_(tensor)

def some_bytes(*shape, low=0, high=256):
    return at_the_edge(torch.randint(low, high, shape, dtype=torch.uint8))

def numbers(*shape, dtype=torch.float32):
    return at_the_edge(torch.randn(shape).to(dtype))

torch.set_num_threads(1)
for implementation in cpu.IMPLEMENTATIONS:
    for dtype in (torch.float32, torch.bfloat16):
        for tokens in (1, 2, 3, 5, 9):
            x = numbers(tokens, 544, dtype=dtype)
            packed = some_bytes(7, 17, 16), some_bytes(7, 17, low=119, high=124)
            cpu.mxfp4_linear(x, *packed, numbers(7, dtype=dtype), implementation=implementation)
            for columns in (1, 31, 50, 544):
                weight = numbers(7, columns, dtype=torch.bfloat16)
                cpu.linear(numbers(tokens, columns, dtype=dtype), weight, implementation=implementation)
print("alive")
"""


# Threads and processes.


def test_several_callers_at_once_get_their_own_results() -> None:
    layers = [Some(seed).layer(5, torch.float32) for seed in range(4)]
    expected = [cpu.moe(*layer) for layer in layers]
    found: list[list[Tensor]] = [[] for _ in layers]

    def work(index: int) -> None:
        found[index] += [cpu.moe(*layers[index]) for _ in range(30)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(layers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(results) == 30 for results in found)
    assert all(
        torch.equal(result, first)
        for results, first in zip(found, expected, strict=True)
        for result in results
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_computes_too() -> None:
    script = """
import os, torch
from harmony_py.model.kernels import cpu
torch.set_num_threads(2)
x, weight = torch.ones(4, 2880), torch.ones(5000, 2880)
expected = cpu.linear(x, weight)
child = os.fork()
found = cpu.linear(x, weight)
assert torch.equal(found, expected)
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("both")
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (ran.stdout, ran.returncode) == ("both\n", 0), ran.stderr
