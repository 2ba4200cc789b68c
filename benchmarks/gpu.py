"""The Triton kernels on a GPU: whether they are right, then tokens a second beside what memory allows."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from benchmarks.report import environment, number, table, write_json
from harmony_py.errors import CheckpointError
from harmony_py.model import ModelConfig, Sampling, memory, ops
from harmony_py.model.cache import Cache
from harmony_py.model.forward import Decoder, Row, decoder
from harmony_py.model.generate import Generation, Options, start
from harmony_py.model.weights import Mxfp4, build, shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from harmony_py.model.weights import Weights

TESTS: Final = Path(__file__).parent.parent / "tests" / "device"
PRESETS: Final = ("gpt-oss-20b", "gpt-oss-120b")
SPARE: Final = 4 << 30
"""Memory for caches and what is computed, beside the weights."""

REHEARSED: Final = ModelConfig(
    layers=1,
    experts=4,
    experts_per_token=2,
    hidden=64,
    intermediate=64,
    heads=2,
    kv_heads=1,
    vocab=128,
    sliding_window=16,
)

NOTES = """\
Weights are random, of the models' shapes, made in the device's memory; greedy decoding, each step's tokens
are fetched before the next begins. `floor` is the bytes that a step has to read, each distinct expert once
(as many as even routing would choose), by the bandwidth of the copy above. Medians; repeats: {repeats}, of
tokens: {tokens}."""


class Machine(NamedTuple):
    """Where it runs."""

    device: str
    dtype: torch.dtype
    kernels: ops.Kernels

    def wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], object]) -> float:
        self.wait()
        began = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - began


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    if options.rehearse:
        os.environ["TRITON_INTERPRET"] = "1"
    elif not torch.cuda.is_available():
        print("no GPU is here; --rehearse runs it in Triton's interpreter, and its times mean nothing")
        return 2
    if not options.skip_tests and (failed := _test(options.rehearse)):
        print("The kernels are wrong here: their speed is of no use.", file=sys.stderr)
        return failed
    machine = _machine(options.rehearse)
    name = "Triton's interpreter" if options.rehearse else torch.cuda.get_device_name()
    bandwidth = copy_bandwidth(machine, options.copy_bytes)
    print(f"{environment(['harmony-py', 'torch', 'triton'])}, {name}\n")
    print(f"A copy reads and writes {number(bandwidth / 1e9)} GB/s.\n")
    print(NOTES.format(repeats=options.repeats, tokens=options.tokens), flush=True)
    results: dict[str, object] = {"device": name, "bandwidth": bandwidth}
    for preset in options.presets:
        config = REHEARSED if options.rehearse else ModelConfig.preset(preset)
        try:
            memory.require(config.weight_bytes + options.spare, machine.device, f"{preset} and its caches")
        except CheckpointError as error:
            print(f"\n{error}")
            continue
        weights = random_on(machine.device, config)
        results[preset] = _measure(machine, preset, weights, config, bandwidth, options)
        del weights
        torch.cuda.empty_cache()
    if options.json:
        write_json(options.json, results)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--presets", type=lambda text: text.split(","), default=list(PRESETS))
    parser.add_argument("--contexts", type=_counts, default=[0, 1024, 8192], metavar="N,N")
    parser.add_argument("--batches", type=_counts, default=[1, 2, 4, 8], metavar="N,N")
    parser.add_argument("--prompts", type=_counts, default=[512, 2048], metavar="N,N")
    parser.add_argument("--tokens", type=int, default=64, help="of a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--skip-tests", action="store_true", help="measure without asking whether it is right"
    )
    parser.add_argument("--rehearse", action="store_true", help="no GPU: a tiny model in the interpreter")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    options.copy_bytes, options.spare = 4 << 30, SPARE
    if options.rehearse:
        options.presets, options.contexts, options.batches = ["rehearsal"], [70], [1, 2]
        options.prompts, options.tokens, options.repeats = [20], 1, 1
        options.copy_bytes, options.spare = 1 << 20, 0
    return options


def _counts(text: str) -> list[int]:
    return sorted({int(part) for part in text.split(",")})


def _test(rehearse: bool) -> int:
    """The tests of the kernels, on the device; rehearsed, only that they are found."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS)]
    return subprocess.run([*command, *(["--collect-only"] if rehearse else [])], check=False).returncode


def _machine(rehearse: bool) -> Machine:
    # Not before: how Triton runs is decided when it is imported.
    from harmony_py.model.kernels import triton

    if rehearse:
        # Its time goes by the number of programs, and its products of tiles in bfloat16 are wrong.
        triton.dense.ROWS = triton.experts.ROWS = 128  # type: ignore[misc]
        kernels = ops.Kernels("triton", triton.linear, triton.mxfp4_linear, triton.moe)
        return Machine("cpu", torch.float32, kernels)
    return Machine("cuda", torch.bfloat16, ops.kernels("triton", "cuda"))


def copy_bandwidth(machine: Machine, size: int) -> float:
    """Bytes read and written a second by the best of some copies."""
    source = torch.zeros(size, dtype=torch.uint8, device=machine.device)
    target = torch.empty_like(source)
    return 2 * size / min(machine.seconds(lambda: target.copy_(source)) for _ in range(10))


def random_on(device: str, config: ModelConfig) -> Weights:
    """Weights like `random_weights`', drawn where they stay."""
    generator = torch.Generator(device).manual_seed(0)

    def draw(name: str, layer: int | None) -> Tensor | Mxfp4:
        shape = shapes(config)[name]
        if name in ("experts.gate_up", "experts.down"):
            groups = (*shape[:-1], shape[-1] // 32)
            options: dict[str, Any] = {"dtype": torch.uint8, "device": device, "generator": generator}
            return Mxfp4(
                torch.randint(0, 256, (*groups, 16), **options), torch.randint(118, 123, groups, **options)
            )
        numbers = torch.randn(shape, dtype=torch.bfloat16, device=device, generator=generator)
        if name.endswith("norm"):
            return torch.ones_like(numbers)
        return numbers if name == "attention.sinks" else numbers.mul_(config.hidden**-0.5)

    return build(config.layers, draw)


def filled_cache(machine: Machine, config: ModelConfig, length: int) -> Cache:
    """As if so many tokens had been run."""
    cache = Cache(config, dtype=machine.dtype, device=machine.device)
    shape = config.kv_heads, length, config.head_dim
    for layer in range(config.layers if length else 0):
        keys, values = torch.randn(2, *shape, dtype=machine.dtype, device=machine.device)
        cache.write(layer, keys, values)
    cache.commit([0] * length)
    return cache


def floor_bytes(config: ModelConfig, context: int, batch: int) -> float:
    """What a step of `batch` conversations has to read, if each distinct expert is read once."""
    experts = config.layers * config.experts * config.expert_bytes
    rest = config.weight_bytes - experts - config.vocab * config.hidden * 2
    distinct = 1 - (1 - config.experts_per_token / config.experts) ** batch
    return rest + experts * distinct + batch * config.cache_bytes(context)


def _measure(
    machine: Machine,
    preset: str,
    weights: Weights,
    config: ModelConfig,
    bandwidth: float,
    options: argparse.Namespace,
) -> dict[str, object]:
    fast = decoder(config, weights, machine.kernels, machine.dtype)
    rows = list(_decode(machine, fast, config, bandwidth, options))
    header = ["context", "batch", "tokens/s", "ms a step", "of floor", "ms on the device"]
    print(f"\n**{preset}, decoding**\n\n{table(header, [_cells(row) for row in rows])}", flush=True)
    kernels = list(_kernels(machine, fast, config))
    header = ["kernel", "launches", "µs each", "ms a step"]
    print(f"\n**{preset}, one token behind 1024**\n\n{table(header, [_cells(row) for row in kernels])}")
    slow = Decoder(config, weights, ops.TORCH, machine.dtype)
    whole = [
        ("`generate`, greedy", _generate(machine, fast, options.tokens)),
        ("plain torch, greedy", _generate(machine, slow, min(options.tokens, 8))),
        *((f"prompt of {size}", _prefill(machine, fast, config, size)) for size in options.prompts),
    ]
    print(
        f"\n**{preset}, all of it**\n\n{table(['', 'tokens/s'], [_cells(row) for row in whole])}", flush=True
    )
    return {"decode": rows, "kernels": kernels, "whole": whole}


def _cells(row: Sequence[object]) -> list[str]:
    return [number(cell) if isinstance(cell, float) else str(cell) for cell in row]


def _decode(
    machine: Machine, fast: Decoder, config: ModelConfig, bandwidth: float, options: argparse.Namespace
) -> Iterator[tuple[int, int, float, float, str, float]]:
    for context in options.contexts:
        for batch in options.batches:
            caches = [filled_cache(machine, config, context) for _ in range(batch)]
            ids = [1] * batch

            def steps(count: int, caches: list[Cache] = caches, ids: list[int] = ids) -> None:
                for _ in range(count):
                    found = fast.run([Row(cache, [token]) for cache, token in zip(caches, ids, strict=True)])
                    ids[:] = torch.cat(found).argmax(dim=-1).tolist()

            steps(2)
            times = sorted(machine.seconds(lambda: steps(options.tokens)) for _ in range(options.repeats))
            step = times[len(times) // 2] / options.tokens
            floor = floor_bytes(config, context, batch) / bandwidth
            alone = _replayed(machine, fast, caches, options.tokens)
            yield context, batch, batch / step, step * 1e3, f"{floor / step:.0%}", alone * 1e3


def _replayed(machine: Machine, fast: Decoder, caches: list[Cache], count: int) -> float:
    """Seconds of a step when nothing is prepared or fetched in between."""
    step: Any = fast
    tokens = step.step.prepare([Row(cache, [1]) for cache in caches])
    play = step.step.play if machine.device == "cuda" else step.step.launch
    return machine.seconds(lambda: [play(tokens) for _ in range(count)]) / count


def _kernels(machine: Machine, fast: Decoder, config: ModelConfig) -> Iterator[tuple[str, int, float, float]]:
    """What the device's clock says of each kernel, the slowest first; nothing where there is none."""
    made: Any = fast
    cache = filled_cache(machine, config, 1024 if machine.device == "cuda" else 16)
    count = made.step.prepare([Row(cache, [1])])
    made.step.launch(count)
    machine.wait()
    repeats = 10 if machine.device == "cuda" else 1
    activities = [getattr(torch.profiler.ProfilerActivity, "CUDA" if machine.device == "cuda" else "CPU")]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(repeats):
            made.step.launch(count)
        machine.wait()
    for event in sorted(profile.key_averages(), key=lambda event: -event.self_device_time_total):
        if event.self_device_time_total:
            each, launches = event.self_device_time_total / event.count, event.count // repeats
            yield event.key[:60], launches, each, each * launches / 1e3


def _generate(machine: Machine, made: Decoder, tokens: int) -> float:
    """Tokens a second as somebody gets them who asks for them one by one."""
    for _ in range(2):
        cache = Cache(made.config, dtype=machine.dtype, device=machine.device)
        sampling = Sampling(temperature=0, max_tokens=1 + tokens, stop=[])
        answer = start(made, range(1, 33), sampling, None, cache, Options())
        generation = Generation(made, answer, Options())
        with suppress(StopIteration):
            while True:
                next(generation)
    return tokens / generation.statistics.decode_seconds


def _prefill(machine: Machine, made: Decoder, config: ModelConfig, size: int) -> float:
    ids = [place % config.vocab for place in range(size)]

    def run() -> object:
        return made.prefill(Cache(config, dtype=machine.dtype, device=machine.device), ids)

    run()
    return size / min(machine.seconds(run) for _ in range(2))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
