"""What a server remembers of earlier responses, for `previous_response_id` and `item_reference`."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harmony_py.chat import Message
    from harmony_py.wire.tools import ToolNames


class Past(NamedTuple):
    """What was said, but for the instructions: those hold for one request only."""

    turns: tuple[Message, ...] = ()
    calls: Mapping[str, str] = MappingProxyType({})
    """The recipients of the calls so far, by the ids that the client knows them by."""

    def then(self, messages: Iterable[Message], output: Iterable[dict[str, Any]], tools: ToolNames) -> Past:
        """With what the model wrote, and the server's tools answered it, and the items made of that."""
        made = {
            item["call_id"]: tools.to_model(item["name"])
            for item in output
            if item["type"] == "function_call"
        }
        return Past((*self.turns, *messages), {**self.calls, **made})


NOTHING_SAID: Final = Past()


class Store(Protocol):
    """What requests ask of a store. A server may bring any."""

    def past(self, response_id: str) -> Past | None:
        """The conversation up to and with a response; None if it is not known."""

    def item(self, item_id: str) -> dict[str, Any] | None:
        """An item of a response's output; None if it is not known."""


class MemoryStore:
    """A store in memory that forgets the response used longest ago when there are more than `limit`, or when
    they are larger together than `limit_bytes`.

    Not for several threads at a time.
    """

    def __init__(self, limit: int = 1000, limit_bytes: int | None = None) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[str, tuple[dict[str, Any], Past]] = OrderedDict()
        self._items: dict[str, tuple[str, dict[str, Any]]] = {}
        self._sizes: dict[str, int] = {}

    def put(self, response: dict[str, Any], past: Past, size: int = 0) -> None:
        """Remember a response, and the conversation up to and with it: `size` bytes, as the caller counts."""
        self.forget(response["id"])
        self._kept[response["id"]] = (response, past)
        self._sizes[response["id"]] = size
        for item in response["output"]:
            self._items[item["id"]] = (response["id"], item)
        while self._kept and self._is_too_much():
            self.forget(next(iter(self._kept)))

    def forget(self, response_id: str) -> bool:
        """Whether there was such a response; it is gone now, with its items."""
        found = self._kept.pop(response_id, None)
        self._sizes.pop(response_id, None)
        for item in found[0]["output"] if found else ():
            if self._items.get(item["id"], ("",))[0] == response_id:
                del self._items[item["id"]]
        return found is not None

    def response(self, response_id: str) -> dict[str, Any] | None:
        """The response itself."""
        found = self._found(response_id)
        return found and found[0]

    def past(self, response_id: str) -> Past | None:
        found = self._found(response_id)
        return found and found[1]

    def item(self, item_id: str) -> dict[str, Any] | None:
        response_id, item = self._items.get(item_id, ("", None))
        self._found(response_id)
        return item

    def _is_too_much(self) -> bool:
        if len(self._kept) > self._limit:
            return True
        return self._limit_bytes is not None and sum(self._sizes.values()) > self._limit_bytes

    def _found(self, response_id: str) -> tuple[dict[str, Any], Past] | None:
        if response_id not in self._kept:
            return None
        self._kept.move_to_end(response_id)
        return self._kept[response_id]
