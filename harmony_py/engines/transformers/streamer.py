"""`HarmonyStreamer`: the parser's events while transformers generates."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from transformers.generation.streamers import BaseStreamer

from harmony_py.chat import Role
from harmony_py.engines.transformers.mask import ENGINE
from harmony_py.errors import EngineError
from harmony_py.format.parse import StreamableParser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from harmony_py.format.events import Event


class HarmonyStreamer(BaseStreamer):  # type: ignore[misc, unused-ignore]
    """Give it to `generate` as `streamer`, and iterate over it for events; from another thread, to have them
    as they come.

    The iteration ends with the generation. If that may fail, call `fail` with its error, or set a `timeout`
    in seconds for one event; the iteration raises it, or `EngineError`. One sequence only. `parser` holds
    the messages and diagnostics, `tokens` what was drawn.
    """

    def __init__(self, *, tools: Iterable[str] | None = None, timeout: float | None = None) -> None:
        self.parser = StreamableParser(None, Role.ASSISTANT, policy="recover", tools=tools)
        self.tokens: list[int] = []
        self._tools = tools
        self._timeout = timeout
        self._queue: SimpleQueue[list[Event] | BaseException | None] = SimpleQueue()
        self._prompted = False

    def put(self, value: Tensor) -> None:
        """Take the prompt the first time, then what was drawn."""
        if value.ndim > 1 and len(value) > 1:
            raise EngineError(ENGINE, f"a streamer follows one sequence; the batch has {len(value)}")
        ids = value.flatten().tolist()
        if self._prompted:
            self.tokens += ids
            self._queue.put(self.parser.feed(ids))
        else:
            self._prompted = True
            self.parser = StreamableParser.from_prompt(None, ids, policy="recover", tools=self._tools)

    def end(self) -> None:
        """No more will come."""
        self._queue.put(self.parser.finish())
        self._queue.put(_OVER)

    def fail(self, error: BaseException) -> None:
        """The generation has failed; who iterates gets what came before, and then `error`."""
        self._queue.put(error)

    def __iter__(self) -> Iterator[Event]:
        while True:
            try:
                item = self._queue.get(timeout=self._timeout)
            except Empty:
                reason = f"nothing came for {self._timeout} seconds"
                raise EngineError(ENGINE, reason, tuple(self.tokens)) from None
            if item is _OVER:
                return
            if isinstance(item, BaseException):
                raise item
            yield from item


_OVER: Final = None
