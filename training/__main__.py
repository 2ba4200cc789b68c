"""Teach the toy and put it into the package: `python -m training`.

The same seed gives the same toy on the same machine and the same number of threads.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harmony_py.model.mxfp4 import quantise
from harmony_py.model.saving import save
from harmony_py.model.toy_checkpoint import SOURCE
from training.evaluate import kept, report
from training.initial import initial
from training.lessons import Lessons
from training.model import CONFIG, EXPERT_MATRICES, mapped, rounded, trained

if TYPE_CHECKING:
    from harmony_py.model.weights import Weights

STEPS = 900
SHORT_STEPS = 80
"""Steps with short conversations to begin with: copying is learned first, and cheaper there."""

TOKENS = 1800
"""A batch."""

RATE = 3e-3
WARM_UP = 20
ROUNDED = 0.7
"""After this share of the steps, what is trained are the weights as they will be stored."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=SOURCE, help="directory of the checkpoint to write")
    parser.add_argument(
        "--report", action="store_true", help="teach nothing; say how good the present toy is"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if not options.report:
        torch.manual_seed(options.seed)
        write(options.out, train(options.steps, options.seed))
    print("\n".join(report(kept(options.out), seed=options.seed + 1)))


def train(steps: int, seed: int) -> Weights:
    """Weights that have seen so many batches."""
    weights = mapped(initial(CONFIG), lambda _, tensor: tensor.requires_grad_())
    parameters = trained(weights)
    lessons = Lessons(random.Random(seed))
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: pace(step / steps, step))
    progress = Progress(steps)
    for step in range(steps):
        batch = lessons.batch(TOKENS, bare=step < SHORT_STEPS)
        current = rounded(weights) if step >= steps * ROUNDED else weights
        loss, right = lessons.loss(current, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress.show(step, loss.item(), right)
    return weights


def pace(part: float, step: int) -> float:
    """The learning rate's share: up quickly, and down along a cosine to nearly nothing."""
    return min(1.0, (step + 1) / WARM_UP) * (0.02 + 0.98 * (1 + math.cos(math.pi * part)) / 2)


def write(path: Path, weights: Weights) -> None:
    """Write the layers as a checkpoint whose vocabulary is one row of nothing."""
    packed = mapped(
        weights, lambda name, tensor: quantise(tensor) if name in EXPERT_MATRICES else tensor.bfloat16()
    )
    nothing = torch.zeros(1, CONFIG.hidden, dtype=torch.bfloat16)
    shutil.rmtree(path, ignore_errors=True)
    save(path, replace(CONFIG, vocab=1), packed._replace(embedding=nothing, unembedding=nothing))


class Progress:
    """A line that tells how it goes: over and over on a terminal, now and then in a file."""

    def __init__(self, steps: int) -> None:
        self._steps, self._start = steps, time.monotonic()
        self._live = sys.stderr.isatty()

    def show(self, step: int, loss: float, right: float) -> None:
        done = step + 1
        if not self._live and done % 25 and done != self._steps:
            return
        seconds = time.monotonic() - self._start
        bar = ("=" * (30 * done // self._steps)).ljust(30)
        left = seconds / done * (self._steps - done)
        line = f"[{bar}] {done}/{self._steps}  loss {loss:.3f}  right {right:.1%}  {left:.0f} s left"
        end = "\n" if not self._live or done == self._steps else "\r"
        print(line, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
