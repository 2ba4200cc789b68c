"""What `harmony-py bench` measures, each by turns with the same done by others where they are installed.

Here is how; a module each measures text, messages and a model.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.tokenizer import vocab
from harmony_py.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Call = Callable[[], object]

TIKTOKEN: Final = "tiktoken"
HARMONY: Final = "openai-harmony"
_MODULES: Final = {TIKTOKEN: "tiktoken", HARMONY: "openai_harmony"}
OURS: Final = ""

_PROCESSOR: Final = time.get_clock_info("process_time")
clock: Final = time.process_time if _PROCESSOR.resolution <= 1e-6 else time.perf_counter
"""The processor's time where it is fine enough: what else the machine does counts for nobody then."""


class Figure(NamedTuple):
    """One thing that was measured: ours, and the others' by their names."""

    what: str
    unit: str
    ours: float
    others: Mapping[str, float] = {}
    more_is_better: bool = False
    agrees: bool = True
    """Whether all came to the same result."""

    def ratio(self, name: str) -> float:
        """How many times as good ours is."""
        theirs = self.others[name]
        return self.ours / theirs if self.more_is_better else theirs / self.ours

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**self._asdict(), "ratios": {name: self.ratio(name) for name in self.others}}


def machine() -> dict[str, str]:
    """What the figures are of."""
    versions = [f"harmony_py {__version__}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in installed()]
    return {
        "versions": ", ".join(versions),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
    }


def installed() -> list[str]:
    """Those to compare with that are here."""
    return [name for name, module in _MODULES.items() if importlib.util.find_spec(module)]


@functools.cache
def vocabulary() -> None:
    """Let the others find the vocabulary without a download, for as long as this process lasts."""
    folder = tempfile.TemporaryDirectory(prefix="harmony-py-bench-")
    atexit.register(folder.cleanup)
    vocab.export(folder.name)
    for variable in ("TIKTOKEN_CACHE_DIR", "TIKTOKEN_ENCODINGS_BASE"):
        os.environ[variable] = folder.name


def by_turns(
    calls: Mapping[str, Call], repeats: int, inner: int = 1, clock: Callable[[], float] = clock
) -> dict[str, float]:
    """Seconds that each call takes: medians of `repeats`, each of them `inner` calls."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, call in calls.items():
                began = clock()
                for _ in range(inner):
                    call()
                samples[name].append((clock() - began) / inner)
    finally:
        gc.enable()
    return {name: statistics.median(found) for name, found in samples.items()}


def figure(
    what: str, unit: str, values: dict[str, float], *, more: bool = False, agrees: bool = True
) -> Figure:
    """A `Figure` of values by name, among them ours."""
    others = {name: value for name, value in values.items() if name != OURS}
    return Figure(what, unit, values[OURS], others, more, agrees)


def micro(seconds: dict[str, float]) -> dict[str, float]:
    """In microseconds."""
    return {name: 1e6 * value for name, value in seconds.items()}
