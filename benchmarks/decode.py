"""Ours beside transformers: tokens a second of full-width models of a few layers, on the same checkpoint."""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from benchmarks.harness import pin
from benchmarks.report import Comparison, Figure, environment, number, ratio, table, write_json
from harmony_py.errors import HarmonyError
from harmony_py.model import ModelConfig, Sampling, load, random_checkpoint
from harmony_py.model.ops import kernels as kernels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Arm = Callable[[], float]
    """Seconds that one more token takes."""

TRANSFORMERS = "transformers"
FAST: Final = "rust"
KERNELS: Final = (FAST, "torch")
PRESET = "gpt-oss-20b"
PROMPT: Final = list(range(1, 17))
CEILING_BYTES: Final = 1 << 29
AGREEMENT: Final = 0.9
"""Cosine of both libraries' logits in bfloat16, where experts that nearly tie may fall either way."""

NARROW: Final = {"hidden": 320, "intermediate": 320, "experts": 8, "heads": 8, "kv_heads": 2, "vocab": 4096}

NOTES = """\
Both in one process, repeats interleaved, medians; greedy decoding behind a prompt of {prompt} tokens,
{tokens} tokens a repeat, {threads} threads. Weights are random, of the width of {preset}{narrow}, in one
checkpoint: ours reads it as it lies, `int8` with what is not packed rounded to eight bits; transformers makes
bfloat16 of it. Time is a line in the layers: it is measured for a few, and the line is drawn on to {full}
and shown. `GB/s` are the bytes that a token reads, packed, by the time it takes; the ceiling is the fastest
of some plain ways of reading memory, in the same run."""


class Line(NamedTuple):
    """What a token takes: so many seconds whatever the layers, and so many for each."""

    fixed: float
    layer: float

    def at(self, layers: int) -> float:
        return self.fixed + layers * self.layer


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    pin(options.threads)
    torch.set_num_threads(options.threads)
    config = ModelConfig.preset(PRESET)
    full = config.layers
    if options.quick:
        config = replace(config, **NARROW)
    narrow = ", made narrow by --quick" if options.quick else ""
    notes = NOTES.format(
        prompt=len(PROMPT),
        tokens=options.tokens,
        threads=options.threads,
        preset=PRESET,
        narrow=narrow,
        full=full,
    )
    print(f"{environment(['harmony-py', 'torch', TRANSFORMERS])}\n\n{notes}\n", flush=True)
    samples: dict[tuple[str, int], list[float]] = {}
    needed: dict[tuple[str, int], int] = {}
    ceilings: list[float] = []
    for layers in options.layers:
        with tempfile.TemporaryDirectory(prefix="harmony-py-bench-", dir=options.folder) as folder:
            path = Path(folder) / "model"
            random_checkpoint(path, replace(config, layers=layers), layout="packed", seed=layers)
            arms, sizes = _arms(path, options)
            needed |= {(name, layers): size for name, size in sizes.items()}
            for repeat in range(options.repeats + 1):
                ceilings.append(_ceiling())
                for name, arm in arms.items():
                    seconds = arm()
                    if repeat:
                        samples.setdefault((name, layers), []).append(seconds)
            arms.clear()
            gc.collect()
    comparison = _comparison(samples, full)
    print(f"\n{comparison.markdown(TRANSFORMERS)}\n\n{_floor(samples, needed, max(ceilings), full)}")
    if options.json:
        figures = [figure._asdict() for figure in comparison.figures]
        read = [{"name": name, "layers": layers, "bytes": count} for (name, layers), count in needed.items()]
        result = {"ceiling": max(ceilings), "read": read, "figures": figures}
        write_json(options.json, result)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks decode", description=__doc__)
    parser.add_argument("--layers", type=_counts, default=None, metavar="N,N", help="by default 2,4")
    parser.add_argument("--tokens", type=int, default=8, help="of a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a narrow model and few repeats: a rehearsal")
    parser.add_argument("--folder", type=Path, help="where checkpoints may lie: a gigabyte for each layer")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    options.layers = options.layers or ([1, 2] if options.quick else [2, 4])
    if len(options.layers) < 2:
        parser.error("--layers: a line needs two numbers of layers")
    if options.quick:
        options.repeats, options.tokens = 2, 4
    return options


def _counts(text: str) -> list[int]:
    return sorted({int(part) for part in text.split(",")})


def _arms(path: Path, options: argparse.Namespace) -> tuple[dict[str, Arm], dict[str, int]]:
    """What is measured on a checkpoint, and the bytes that a token of ours reads of it."""
    theirs = _load_transformers(path)
    arms: dict[str, Arm] = {}
    needed: dict[str, int] = {}
    for kernels in _kernels():
        for dense in ("stored", "int8") if kernels == FAST else ("stored",):
            model = load(path, kernels=kernels, max_context=4096, dense=dense)
            _check(model, theirs)
            name = f"ours, {kernels}" + (f", {dense}" if dense != "stored" else "")
            needed[name] = model.decoder.bytes_per_token(len(PROMPT) + options.tokens // 2)
            arms[name] = _ours(model, options.tokens)
    arms[TRANSFORMERS] = _theirs(theirs, options.tokens)
    return arms, needed


def _kernels() -> list[str]:
    """Those that this build has."""
    found = []
    for name in KERNELS:
        try:
            kernels_of(name, "cpu")
        except HarmonyError as error:
            print(f"  {error}", file=sys.stderr)
        else:
            found.append(name)
    return found


def _ours(model: Any, tokens: int) -> Arm:
    def seconds() -> float:
        generation = model.generate(PROMPT, Sampling(temperature=0, max_tokens=1 + tokens, stop=[]))
        for _ in generation:
            pass
        return float(generation.statistics.decode_seconds) / tokens

    return seconds


def _load_transformers(path: Path) -> Any:
    transformers = importlib.import_module(TRANSFORMERS)
    importlib.import_module(f"{TRANSFORMERS}.utils.logging").disable_progress_bar()
    packed = transformers.Mxfp4Config(dequantize=True)
    load_model = transformers.GptOssForCausalLM.from_pretrained
    return load_model(
        path, dtype=torch.bfloat16, attn_implementation="eager", quantization_config=packed
    ).eval()


def _theirs(model: Any, tokens: int) -> Arm:
    def seconds() -> float:
        with torch.no_grad():
            out = model(torch.tensor([PROMPT]), use_cache=True, logits_to_keep=1)
            began = time.perf_counter()
            for _ in range(tokens):
                token = out.logits[:, -1:].argmax(-1)
                out = model(token, cache=out.cache, use_cache=True, logits_to_keep=1)
            out.logits[:, -1:].argmax(-1)
            return (time.perf_counter() - began) / tokens

    return seconds


def _check(model: Any, theirs: Any) -> None:
    """Stop if the two are not the same model, at most tokens: at some, experts nearly tie."""
    ours = model.logits(PROMPT).float()
    with torch.no_grad():
        others = theirs(torch.tensor([PROMPT])).logits[0].float()
    cosine = float(torch.cosine_similarity(ours, others, dim=-1).median())
    if cosine < AGREEMENT:
        raise SystemExit(
            f"logits differ from those of transformers: the median of their cosines is {cosine:.3f}"
        )


def _ceiling() -> float:
    """Bytes a second, read the fastest of some plain ways, of more than any cache holds."""
    numbers = torch.ones(CEILING_BYTES // 4, dtype=torch.float32)
    matrix, vector = numbers.view(-1, 8192), torch.ones(8192)
    ways: list[Callable[[], object]] = [
        numbers.sum,
        numbers.view(torch.int64).sum,
        functools.partial(matrix.mv, vector),
    ]
    best = 0.0
    for read in ways:
        for _ in range(2):
            began = time.perf_counter()
            read()
            best = max(best, CEILING_BYTES / (time.perf_counter() - began))
    return best


def _line(points: dict[int, float]) -> Line:
    """The line that is nearest to all points."""
    fit = statistics.linear_regression(list(points), list(points.values()))
    return Line(fit.intercept, fit.slope)


def _lines(samples: dict[tuple[str, int], list[float]]) -> dict[str, Line]:
    names = list(dict.fromkeys(name for name, _ in samples))
    return {
        name: _line(
            {layers: statistics.median(found) for (of, layers), found in samples.items() if of == name}
        )
        for name in names
    }


def _comparison(samples: dict[tuple[str, int], list[float]], full: int) -> Comparison:
    figures = [
        Figure(f"{layers} layers", name, tuple(1e3 * value for value in values))
        for (name, layers), values in samples.items()
    ]
    for name, line in _lines(samples).items():
        figures += [
            Figure("fixed", name, (1e3 * line.fixed,)),
            Figure("a layer", name, (1e3 * line.layer,)),
            Figure(f"{full} layers, by the line", name, (1e3 * line.at(full),)),
        ]
    return Comparison("A token", "ms", False, figures)


def _floor(
    samples: dict[tuple[str, int], list[float]],
    needed: dict[tuple[str, int], int],
    ceiling: float,
    full: int,
) -> str:
    """Tokens and bytes a second of the whole model, beside what reading alone would allow."""
    sizes = _lines({key: [float(count)] for key, count in needed.items()})
    rows = []
    for name, line in _lines(samples).items():
        seconds = line.at(full)
        speed = ["-"] * 4
        if name in sizes:
            size = sizes[name].at(full)
            allowed = ratio(ceiling, size).removesuffix("x")
            share = f"{size / seconds / ceiling:.0%}"
            speed = [f"{size / 1e9:.2f}", allowed, number(size / seconds / 1e9), share]
        rows.append([name, number(1 / seconds), *speed])
    head = ["tokens/s", "GB a token", "tokens/s at the ceiling", "GB/s", "of the ceiling"]
    found = table([f"{full} layers, by the line", *head], rows)
    return f"{found}\n\nThe ceiling is {number(ceiling / 1e9)} GB/s."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
