"""A model's decoding, beside what the memory gives."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Final

from harmony_py.cli.measure import Figure
from harmony_py.cli.measure.messages import conversation
from harmony_py.cli.models import CPU, STORED, TOY, load

TOKENS: Final = 32
READ_BYTES: Final = 1 << 28


def decode(model: str, repeats: int, device: str = CPU, dense: str = STORED) -> list[Figure]:
    """Tokens a second behind a short prompt, and which share of the memory's speed that is."""
    from harmony_py import chat
    from harmony_py.format.encoding import load_harmony_encoding
    from harmony_py.model import Sampling

    loaded = load(model, device, dense=dense)
    prompt = load_harmony_encoding().render_conversation_for_completion(conversation(chat, 1))
    # Without stop tokens it draws as many as it is told, whatever they mean.
    sampling = Sampling(temperature=0, max_tokens=TOKENS, stop=())
    found = []
    for _ in range(repeats):
        generation = loaded.generate(prompt, sampling)
        for _step in generation:
            pass
        found.append(generation.statistics)
    rate = statistics.median(each.decode_rate or 0 for each in found)
    prefill = statistics.median(each.prefill_rate or 0 for each in found)
    read = rate * found[-1].bytes_per_token
    ceiling = read_speed(device)
    label = "the toy" if model == TOY else Path(model).name
    return [
        Figure(f"{label} reads {len(prompt)} tokens", "tokens/s", prefill, more_is_better=True),
        Figure(f"{label} decodes", "tokens/s", rate, more_is_better=True),
        Figure("  which reads weights at", "GB/s", read / 1e9, more_is_better=True),
        Figure("  where memory allows", "GB/s", ceiling / 1e9, more_is_better=True),
        Figure("  a share of", "%", 100 * read / ceiling, more_is_better=True),
    ]


def read_speed(device: str) -> float:
    """Bytes a second, read the fastest of two plain ways, of more than most caches hold."""
    import torch

    numbers = torch.ones(READ_BYTES // 4, dtype=torch.float32, device=device)
    best = 0.0
    for read in (numbers.sum, numbers.view(torch.int64).sum) * 3:
        began = time.perf_counter()
        read().item()  # waits for it
        best = max(best, READ_BYTES / (time.perf_counter() - began))
    return best
