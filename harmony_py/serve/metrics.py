"""What the server counts, as Prometheus reads it. Everything happens on the event loop's thread."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Counter:
    """Only grows; a number for each value of its labels."""

    kind: Final = "counter"

    def __init__(self, name: str, help_: str, *labels: str) -> None:
        self.name, self.help, self._labels = name, help_, labels
        self._values: dict[tuple[str, ...], int] = {} if labels else {(): 0}

    def add(self, count: int = 1, *labels: str) -> None:
        self._values[labels] = self._values.get(labels, 0) + count

    def value(self, *labels: str) -> int:
        return self._values.get(labels, 0)

    def lines(self) -> Iterator[str]:
        for labels, value in sorted(self._values.items()):
            yield f"{self.name}{_braces(zip(self._labels, labels, strict=True))} {value}"


class Gauge:
    """Goes up and down: asked when it is read."""

    kind: Final = "gauge"

    def __init__(self, name: str, help_: str, read: Callable[[], int]) -> None:
        self.name, self.help, self._read = name, help_, read

    def lines(self) -> Iterator[str]:
        yield f"{self.name} {self._read()}"


class Histogram:
    """How many of what was seen are at most so large, for each of some bounds; the sum of it all."""

    kind: Final = "histogram"

    def __init__(self, name: str, help_: str, bounds: Sequence[float] = _SECONDS) -> None:
        self.name, self.help, self._bounds = name, help_, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def see(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    def lines(self) -> Iterator[str]:
        below = 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            below += count
            yield f'{self.name}_bucket{{le="{bound}"}} {below}'
        yield f"{self.name}_sum {self._sum:.6f}"
        yield f"{self.name}_count {below}"


class Metrics:
    """All of them."""

    def __init__(self, running: Callable[[], int], waiting: Callable[[], int]) -> None:
        name = "harmony_py_{}".format
        self.requests = Counter(name("requests_total"), "Requests answered.", "endpoint", "status")
        self.cancelled = Counter(name("cancelled_total"), "Requests whose client went away.")
        self.prompt_tokens = Counter(name("prompt_tokens_total"), "Tokens of prompts.")
        self.cached_tokens = Counter(
            name("cached_tokens_total"), "Tokens of prompts that the engine had seen before."
        )
        self.output_tokens = Counter(name("output_tokens_total"), "Tokens drawn.")
        self.queue = Histogram(name("queue_seconds"), "From a request to its turn.")
        self.first_token = Histogram(
            name("time_to_first_token_seconds"), "From a request to its first token."
        )
        self.between_tokens = Histogram(name("time_between_tokens_seconds"), "From a token to the next one.")
        self.request = Histogram(name("request_seconds"), "From a request to the end of its answer.")
        self._all: Final[list[Counter | Gauge | Histogram]] = [
            *(each for each in vars(self).values() if isinstance(each, Counter | Histogram)),
            Gauge(name("running"), "Answers being drawn.", running),
            Gauge(name("waiting"), "Answers that wait for their turn.", waiting),
        ]

    def text(self) -> str:
        """All of it, in Prometheus' text format."""
        lines: list[str] = []
        for metric in self._all:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
            lines += metric.lines()
        return "\n".join(lines) + "\n"


def _braces(labels: Iterator[tuple[str, str]]) -> str:
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{written}}}" if written else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
