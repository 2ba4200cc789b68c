"""The bundled decode loop as an engine: `TorchEngine(load(path))` for one conversation at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harmony_py.engines.options import options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harmony_py.model import Generation, Mask, Model, Sampling
    from harmony_py.model.statistics import Statistics


class TorchEngine:
    """A model and the cache of one conversation: what a prompt has in common with the last is not run again.

    `speculate` guesses so many tokens at a time, which changes no answer. `progress` is told how much of a
    prompt is read. Conversations side by side take an engine each; they may share the model.
    """

    def __init__(
        self, model: Model, *, speculate: int = 0, progress: Callable[[int, int], object] | None = None
    ) -> None:
        self.model = model
        self._cache = model.new_cache()
        self._speculate, self._progress = speculate, progress
        self._last: Generation | None = None

    def generate(
        self,
        ids: Sequence[int],
        sampling: Sampling | Mapping[str, Any] | None = None,
        *,
        mask: Mask | None = None,
    ) -> Generation:
        """The steps behind `ids`; see `Model.generate`, whose errors these are.

        `sampling` may be a mapping, as it may with other engines: see `harmony_py.engines.options`.
        """
        if isinstance(sampling, Mapping):
            from harmony_py.model import Sampling

            sampling = Sampling(**options("the bundled loop", sampling))
        self._last = self.model.generate(
            ids,
            sampling,
            mask=mask,
            cache=self._cache,
            speculate=self._speculate,
            progress=self._progress,
        )
        return self._last

    @property
    def statistics(self) -> Statistics | None:
        """Of the last generation, the present one included: rates, and how much was reused."""
        return self._last.statistics if self._last else None
