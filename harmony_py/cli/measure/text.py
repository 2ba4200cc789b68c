"""Start and tokenizer, beside tiktoken."""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harmony_py.cli.measure import OURS, TIKTOKEN, Figure, by_turns, clock, figure, installed, vocabulary
from harmony_py.errors import HarmonyError
from harmony_py.tokenizer import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.cli.measure import Call

MOST_CHARACTERS: Final = 8_000_000
PARTS: Final = 9

_FIRST_ID: Final = {
    OURS: "import harmony_py; harmony_py.Tokenizer.o200k_harmony().encode_ordinary('hello')",
    TIKTOKEN: "import tiktoken; tiktoken.get_encoding('o200k_base').encode_ordinary('hello')",
}


def start(repeats: int) -> list[Figure]:
    """From nothing to the first id, less what Python takes to begin."""
    vocabulary()
    scripts = {name: code for name, code in _FIRST_ID.items() if name == OURS or name in installed()}
    scripts["empty"] = "pass"
    calls: dict[str, Call] = {
        name: functools.partial(subprocess.run, [sys.executable, "-c", code], check=True)
        for name, code in scripts.items()
    }
    seconds = by_turns(calls, repeats, clock=time.perf_counter)
    empty = seconds.pop("empty")
    return [
        figure("from import to the first id", "ms", {name: 1e3 * (s - empty) for name, s in seconds.items()})
    ]


def tokenizer(text: str, name: str, repeats: int) -> list[Figure]:
    """Encoding the second half of `text`, unseen and again: some remember pieces that they have seen.

    The first half fills such a memory, as real text does. Unseen text can be timed but once: it is cut into
    parts, so that there is a median all the same.
    """
    encoders: dict[str, Callable[[str], list[int]]] = {OURS: Tokenizer.o200k_harmony().encode_ordinary}
    if TIKTOKEN in installed():
        vocabulary()
        import tiktoken

        encoders[TIKTOKEN] = tiktoken.get_encoding("o200k_base").encode_ordinary
    middle = len(text) // 2
    step = max(1, (len(text) - middle) // PARTS)
    parts = [text[at : at + step] for at in range(middle, len(text), step)]
    if not parts:
        raise HarmonyError(f"{name}: there is nothing in it to encode")
    for encode in encoders.values():
        encode(text[:middle])
    unseen = _rates(encoders, parts)
    again = _rates(encoders, parts * repeats)
    same = all(encode(part) == encoders[OURS](part) for encode in encoders.values() for part in parts)
    what = f"encode {name}, {_megabytes(text) / 2:.2g} MB"
    return [
        figure(f"{what}, unseen", "MB/s", unseen, more=True, agrees=same),
        figure(f"{what}, again", "MB/s", again, more=True, agrees=same),
    ]


def _rates(encoders: dict[str, Callable[[str], list[int]]], parts: list[str]) -> dict[str, float]:
    """Megabytes a second: the median of all parts, which are encoded by turns."""
    rates: dict[str, list[float]] = {who: [] for who in encoders}
    for part in parts:
        for who, encode in encoders.items():
            began = clock()
            encode(part)
            rates[who].append(_megabytes(part) / max(clock() - began, 1e-9))
    return {who: statistics.median(found) for who, found in rates.items()}


def _megabytes(text: str) -> float:
    return len(text.encode("utf-8")) / 1e6


def own_source() -> str:
    """All of this package's Python, as one text."""
    package = Path(__file__).parents[2]
    return "".join(path.read_text("utf-8") for path in sorted(package.rglob("*.py")))
