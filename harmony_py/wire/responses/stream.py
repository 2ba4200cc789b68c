"""What the model writes, as the events of a response: as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.wire.logprobs import Held, for_event
from harmony_py.wire.responses.output import PARTS, answered, as_it_is, awaits, begun, ended, part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.chat import Message
    from harmony_py.format.events import Event
    from harmony_py.format.header import Header
    from harmony_py.wire.logprobs import Entry
    from harmony_py.wire.responses.output import Item, Reply
    from harmony_py.wire.turn import Stop
    from harmony_py.wire.usage import Usage

_TEXTS: Final = {
    "reasoning": ("response.reasoning_text", "text"),
    "message": ("response.output_text", "text"),
    "function_call": ("response.function_call_arguments", "arguments"),
    "code_interpreter_call": ("response.code_interpreter_call_code", "code"),
    "mcp_call": ("response.mcp_call_arguments", "arguments"),
}
"""What the events about an item's text are called, and their field for the whole of it."""

_WORKING: Final = {"code_interpreter_call": "interpreting", "web_search_call": "searching"}
"""What a call to a tool of the server's does between beginning and end, if there is an event for it."""

_OURS: Final = ("code_interpreter_call", "mcp_call", "web_search_call")


class ResponseStream:
    """A streamed response, fed with the events of a parser or, where the server's own tools answer in
    between, of several parsers one after the other.

    However the events come, the response in the last event is what `response` gives, and the events before
    it add up to the same. Ids are made in the same order. Sequence numbers count from 0; an item's index is
    its place in the output; every item and part is added before anything else is said of it, and done after.
    """

    def __init__(self, reply: Reply, *, header: Header | None = None) -> None:
        """`header` is that of the message that the prompt leaves open, if it ends inside of one."""
        self._reply = reply
        self._header = header
        self._items: list[Item] = []
        self._open: _Open | None = None
        self._working: list[_Open] = []
        self._held = Held()
        self._number = 0

    def feed(self, events: Sequence[Event], logprob: Entry | None = None) -> list[dict[str, Any]]:
        """What a parser's events bring about; at first also the events that begin the response.

        Where logprobs are wanted, feed what a single token brings about, and its entry with it.
        """
        self._held.add(logprob, events)
        return self._numbered([*self._beginning(), *self._taken(events, "completed")])

    def result(self, message: Message) -> list[dict[str, Any]]:
        """Take what a tool of the server's answered."""
        for working in self._working:
            if working.answer(message):
                return self._numbered(self._finished(working))
        return []

    def finish(
        self, events: Sequence[Event] = (), stop: Stop = "stop", usage: Usage | None = None
    ) -> list[dict[str, Any]]:
        """The last events. `events` are what the parser makes of the end: a message that only the end closed
        is incomplete unless the model stopped of its own accord."""
        status = "completed" if stop == "stop" else "incomplete"
        made = [
            *self._beginning(),
            *self._taken(events, status),
            *self._closed(status),
            *self._all_finished(),
        ]
        whole = as_it_is(self._reply, self._items, stop, usage)
        return self._numbered([*made, {"type": f"response.{whole['status']}", "response": whole}])

    def fail(self, error: str, usage: Usage | None = None) -> list[dict[str, Any]]:
        """The last events of a response that went wrong on the server's side."""
        made = [*self._beginning(), *self._closed("incomplete"), *self._all_finished()]
        whole = as_it_is(self._reply, self._items, "stop", usage, error)
        return self._numbered([*made, {"type": "response.failed", "response": whole}])

    # -- events without their numbers ----------------------------------------------------------------------

    def _numbered(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, self._number = self._number, self._number + len(events)
        return [{**event, "sequence_number": first + i} for i, event in enumerate(events)]

    def _beginning(self) -> list[dict[str, Any]]:
        if self._number:
            return []
        nothing = as_it_is(self._reply, [], None)
        opened = self._opened(self._header) if self._header else []
        return [
            *({"type": f"response.{n}", "response": nothing} for n in ("created", "in_progress")),
            *opened,
        ]

    def _taken(self, events: Sequence[Event], status: str) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        for event in events:
            if isinstance(event, MessageStart):
                made += self._opened(event.header)
            elif isinstance(event, ContentDelta) and self._open:
                made += self._open.delta(event.text, self._held.take())
            elif isinstance(event, MessageEnd):
                made += self._closed(status)
        return made

    def _opened(self, header: Header) -> list[dict[str, Any]]:
        self._held.drop()
        item = begun(self._reply, header)
        if item is None:
            return []
        self._open = _Open(item, len(self._items))
        self._items.append(item)
        return self._open.begin()

    def _closed(self, status: str) -> list[dict[str, Any]]:
        """End the open message. A call that the server answers is not done with that."""
        closed, self._open = self._open, None
        if closed is None:
            return []
        made = closed.end(status)
        if closed.item["type"] in _OURS and status == "completed":
            self._working.append(closed)
            return made
        return [*made, *self._finished(closed)]

    def _all_finished(self) -> list[dict[str, Any]]:
        return [event for working in self._working.copy() for event in self._finished(working)]

    def _finished(self, done: _Open) -> list[dict[str, Any]]:
        if done in self._working:
            self._working.remove(done)
        self._items[done.index] = done.item
        return done.finish()


class _Open:
    """An item that is being written, and the events about it."""

    def __init__(self, item: Item, index: int) -> None:
        self.item = item
        self.index = index
        self._pieces: list[str] = []
        self._logprobs: list[Entry] = []

    def begin(self) -> list[dict[str, Any]]:
        kind = self.item["type"]
        if kind == "web_search_call":
            return []  # what is searched for must be in its first event already
        added = [self._about_item("added")]
        if kind in PARTS:
            added.append(self._about_part("added", part(kind, "")))
        return added + self._status("in_progress")

    def delta(self, text: str, logprobs: list[Entry]) -> list[dict[str, Any]]:
        self._pieces.append(text)
        self._logprobs += logprobs
        if self.item["type"] not in _TEXTS:
            return []
        return [self._about_text("delta", "delta", text, logprobs)]

    def end(self, status: str) -> list[dict[str, Any]]:
        """All its text has come."""
        kind, text = self.item["type"], "".join(self._pieces)
        in_progress = {"status": "in_progress"}
        self.item = ended(self.item, text, status, self._logprobs)
        if kind == "web_search_call":
            made = [{**self._about_item("added"), "item": {**self.item, **in_progress}}]
            made += self._status("in_progress")
        else:
            made = [self._about_text("done", _TEXTS[kind][1], text, self._logprobs)]
        if kind in PARTS:
            made.append(self._about_part("done", self.item["content"][0]))
        return made + (self._status(_WORKING[kind]) if kind in _WORKING and status == "completed" else [])

    def answer(self, message: Message) -> bool:
        """Take a result, if it is one of this call."""
        fits = awaits(self.item, message)
        if fits:
            self.item = {**self.item, **answered(self.item, message.text)}
        return fits

    def finish(self) -> list[dict[str, Any]]:
        completed = self._status("completed") if self.item["status"] == "completed" else []
        return [*completed, self._about_item("done")]

    def _about_item(self, what: str) -> dict[str, Any]:
        return {"type": f"response.output_item.{what}", "output_index": self.index, "item": self.item}

    def _about_part(self, what: str, whole: Item) -> dict[str, Any]:
        place = {"item_id": self.item["id"], "output_index": self.index, "content_index": 0}
        return {"type": f"response.content_part.{what}", **place, "part": whole}

    def _about_text(self, what: str, name: str, text: str, logprobs: list[Entry]) -> dict[str, Any]:
        kind = self.item["type"]
        place = {"item_id": self.item["id"], "output_index": self.index}
        place |= {"content_index": 0} if kind in PARTS else {}
        place |= {"logprobs": [for_event(entry) for entry in logprobs]} if kind == "message" else {}
        return {"type": f"{_TEXTS[kind][0]}.{what}", **place, name: text}

    def _status(self, what: str) -> list[dict[str, Any]]:
        """The event that says how a call to a tool of the server's gets on."""
        kind = self.item["type"]
        if kind not in _OURS:
            return []
        return [{"type": f"response.{kind}.{what}", "item_id": self.item["id"], "output_index": self.index}]
