"""The processor's kernels: bytes of weights a second, beside what the memory gives and beside torch."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from benchmarks.report import environment, number, table
from harmony_py.model import int8
from harmony_py.model.config import ModelConfig
from harmony_py.model.kernels import cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import Tensor

CONFIG: Final = ModelConfig.preset("gpt-oss-20b")
WIDE: Final = 2 * CONFIG.intermediate
"""Rows of an expert's first matrix."""

DENSE: Final = 8
"""So many matrices in bf16 are far more than a cache holds, and no memory is filled with them."""

REST: Final = 0.005
"""Seconds before a call, in which the threads of the one before stop looking for work."""

TOKENS: Final = (1, 2, 4, 8, 16, 64)

NOTES = """\
Weights are those of gpt-oss-20b in shape, random in content; each call takes another expert's, so that they
come from memory, not from a cache. All arms in one process, interleaved; medians, the best in brackets.
`read` sums the same bytes as integers: what the memory gives. GB are 10**9 bytes of weights as they lie,
scales included. With one thread a call's time is the processor time of that thread; with more it is the
time on the wall, which only a quiet machine makes good: read the ratios."""


class Arm(NamedTuple):
    """One way to do what is measured: called with a number that says which weights to take."""

    name: str
    bytes: int
    call: Callable[[int], object]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks kernels", description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args(arguments)
    print(f"{environment(['harmony-py', 'torch'])}\n\n{NOTES}")
    weights = Weights()
    with torch.inference_mode():
        for threads in options.threads:
            torch.set_num_threads(threads)
            measured = Measured(options.repeats, time.thread_time if threads == 1 else time.perf_counter)
            print(f"\nOne token, threads: {threads}\n\n{one_token(weights, measured)}", flush=True)
            print(
                f"\nMicroseconds a token, threads: {threads}\n\n{many_tokens(weights, measured)}", flush=True
            )
    return 0


class Weights:
    """Random weights, of which each call takes a part that the last one did not."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        experts, hidden, inner = CONFIG.experts, CONFIG.hidden, CONFIG.intermediate

        def uniform(*shape: int, low: int = 0, high: int = 256) -> Tensor:
            return torch.randint(low, high, shape, generator=generator, dtype=torch.uint8)

        self.generator = generator
        self.gate_up = uniform(experts, WIDE, hidden // 32, 16)
        self.gate_up_scales = uniform(experts, WIDE, hidden // 32, low=119, high=124)
        self.down = uniform(experts, hidden, inner // 32, 16)
        self.down_scales = uniform(experts, hidden, inner // 32, low=119, high=124)
        self.gate_up_bias = torch.zeros(experts, WIDE, dtype=torch.bfloat16)
        self.down_bias = torch.zeros(experts, hidden, dtype=torch.bfloat16)
        self.dense = torch.empty(DENSE, WIDE, hidden, dtype=torch.bfloat16)
        for matrix in self.dense:
            matrix.copy_(torch.randn(WIDE, hidden, generator=generator) * 0.02)
        self.small = [int8.quantise(matrix) for matrix in self.dense]

    def x(self, tokens: int, implementation: str = "") -> Tensor:
        """Tokens in the type for which an implementation is made."""
        x = torch.randn(tokens, CONFIG.hidden, generator=self.generator)
        return x.bfloat16() if implementation in ("", "avx512bf16") else x

    def packed_linear(self, tokens: int, implementation: str | None = None) -> Arm:
        x = self.x(tokens, implementation or "")

        def call(index: int) -> object:
            expert = index * 7 % CONFIG.experts
            packed = self.gate_up[expert], self.gate_up_scales[expert]
            return cpu.mxfp4_linear(x, *packed, implementation=implementation)

        bytes_read = (self.gate_up.nbytes + self.gate_up_scales.nbytes) // CONFIG.experts
        return Arm(f"mxfp4_linear, {implementation or cpu.IMPLEMENTATIONS[0]}", bytes_read, call)

    def dense_linear(self, tokens: int, implementation: str | None = None) -> Arm:
        x = self.x(tokens, implementation or "")

        def call(index: int) -> object:
            return cpu.linear(x, self.dense[index % DENSE], implementation=implementation)

        return Arm(f"linear, {implementation or cpu.IMPLEMENTATIONS[0]}", self.dense[0].nbytes, call)

    def int8_linear(self, tokens: int, implementation: str | None = None) -> Arm:
        x = self.x(tokens, implementation or "")

        def call(index: int) -> object:
            return cpu.int8_linear(x, *self.small[index % DENSE], implementation=implementation)

        bytes_read = sum(part.nbytes for part in self.small[0])
        return Arm(f"int8_linear, {implementation or cpu.IMPLEMENTATIONS[0]}", bytes_read, call)

    def torch_linear(self, tokens: int) -> Arm:
        x = self.x(tokens)

        def call(index: int) -> object:
            return torch.nn.functional.linear(x, self.dense[index % DENSE])

        return Arm("torch's linear, bf16", self.dense[0].nbytes, call)

    def moe(self, tokens: int, implementation: str | None = None) -> Arm:
        """Each call draws its experts; with one token it reads the weights of those that it chose."""
        x, top = self.x(tokens, implementation or ""), CONFIG.experts_per_token
        shares = torch.full((tokens, top), 1 / top)
        chosen = [
            torch.rand(tokens, CONFIG.experts, generator=self.generator).argsort(dim=1)[:, :top]
            for _ in range(8)
        ]
        gate_up = self.gate_up, self.gate_up_scales, self.gate_up_bias
        down = self.down, self.down_scales, self.down_bias

        def call(index: int) -> object:
            experts = chosen[index % len(chosen)]
            return cpu.moe(x, experts, shares, *gate_up, *down, 7.0, implementation=implementation)

        each = sum(tensor.nbytes for tensor in (*gate_up[:2], *down[:2])) // CONFIG.experts
        return Arm(f"moe, {implementation or cpu.IMPLEMENTATIONS[0]}", each * top, call)

    def read(self) -> Arm:
        """The ceiling: the same bytes as `mxfp4_linear`'s blocks, summed as integers."""
        words = self.gate_up.view(CONFIG.experts, -1).view(torch.int64)

        def call(index: int) -> object:
            return words[index * 7 % CONFIG.experts].sum()

        return Arm("read", words[0].nbytes, call)


class Measured(NamedTuple):
    """How to run arms in turn."""

    repeats: int
    clock: Callable[[], float]

    def seconds(self, arms: Sequence[Arm]) -> list[list[float]]:
        """For each arm its times, the first call not counted."""
        times: list[list[float]] = [[] for _ in arms]
        for repeat in range(self.repeats + 1):
            for arm, own in zip(arms, times, strict=True):
                time.sleep(REST)
                start = self.clock()
                arm.call(repeat)
                own.append(self.clock() - start)
        return [own[1:] for own in times]


def one_token(weights: Weights, measured: Measured) -> str:
    arms = [weights.read(), weights.torch_linear(1)]
    for implementation in cpu.IMPLEMENTATIONS[:-1] or cpu.IMPLEMENTATIONS:
        makers = (weights.dense_linear, weights.int8_linear, weights.packed_linear, weights.moe)
        arms += [make(1, implementation) for make in makers]
    times = measured.seconds(arms)
    ceiling = arms[0].bytes / statistics.median(times[0])

    def rows() -> Iterator[Sequence[str]]:
        for arm, own in zip(arms, times, strict=True):
            median, best = arm.bytes / statistics.median(own), arm.bytes / min(own)
            yield arm.name, number(median / 1e9), f"({number(best / 1e9)})", f"{median / ceiling:.0%}"

    return table(["", "GB/s", "best", "of read"], rows())


def many_tokens(weights: Weights, measured: Measured) -> str:
    def arms(tokens: int) -> list[Arm]:
        linears = (weights.packed_linear, weights.dense_linear, weights.int8_linear, weights.torch_linear)
        return [make(tokens) for make in (*linears, weights.moe)]

    def rows() -> Iterable[Sequence[str]]:
        columns = [measured.seconds(arms(tokens)) for tokens in TOKENS]
        for index, arm in enumerate(arms(1)):
            medians = [statistics.median(times[index]) for times in columns]
            yield arm.name, *(number(m * 1e6 / t) for m, t in zip(medians, TOKENS, strict=True))

    return table(["tokens", *map(str, TOKENS)], rows())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
