"""Start and tokenizer, beside tiktoken."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harmony_py.cli.measure import OURS, TIKTOKEN, Figure, by_turns, figure, installed, vocabulary
from harmony_py.tokenizer import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.cli.measure import Call

MOST_CHARACTERS: Final = 8_000_000

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
    seconds = by_turns(calls, repeats)
    empty = seconds.pop("empty")
    return [
        figure("from import to the first id", "ms", {name: 1e3 * (s - empty) for name, s in seconds.items()})
    ]


def tokenizer(text: str, name: str, repeats: int) -> list[Figure]:
    encoders: dict[str, Callable[[str], Any]] = {OURS: Tokenizer.o200k_harmony().encode_ordinary}
    if TIKTOKEN in installed():
        vocabulary()
        import tiktoken

        encoders[TIKTOKEN] = tiktoken.get_encoding("o200k_base").encode_ordinary
    megabytes = len(text.encode("utf-8", "replace")) / 1e6
    for encode in encoders.values():
        encode("Something else, so that nobody's first call is counted.")
    first: dict[str, float] = {}
    ids = {}
    for who, encode in encoders.items():
        began = time.perf_counter()
        ids[who] = encode(text)
        first[who] = time.perf_counter() - began
    same = all(found == ids[OURS] for found in ids.values())
    again = by_turns({who: functools.partial(encode, text) for who, encode in encoders.items()}, repeats)
    what = f"encode {Path(name).name}, {megabytes:.2g} MB"
    return [
        figure(f"{what}, first time", "MB/s", _rates(megabytes, first), more=True, agrees=same),
        figure(f"{what}, again", "MB/s", _rates(megabytes, again), more=True, agrees=same),
    ]


def _rates(amount: float, seconds: dict[str, float]) -> dict[str, float]:
    return {name: amount / value for name, value in seconds.items()}


def own_source() -> str:
    package = Path(__file__).parents[1]
    return "".join(path.read_text("utf-8") for path in sorted(package.rglob("*.py")))
