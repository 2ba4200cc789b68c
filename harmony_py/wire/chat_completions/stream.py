"""What the model writes, as chunks of a chat completion: as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.wire.chat_completions.replies import BREAK, as_logprobs, finish_reason
from harmony_py.wire.logprobs import Held
from harmony_py.wire.turn import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.format.events import Event
    from harmony_py.format.header import Header
    from harmony_py.wire.chat_completions.replies import Reply
    from harmony_py.wire.logprobs import Entry
    from harmony_py.wire.turn import Stop
    from harmony_py.wire.usage import Usage


class ChatStream:
    """One choice of a streamed answer, fed with a parser's events.

    However the events come, the chunks add up to what `completion` gives. Ids are made in the same order.
    """

    def __init__(self, reply: Reply, index: int = 0, *, header: Header | None = None) -> None:
        """`header` is that of the message that the prompt leaves open, if it ends inside of one."""
        self._reply = reply
        self._index = index
        self._begun = False
        self._calls = 0
        # Of the open message: the fields that show it, and whether text of it has been shown.
        self._kind: Kind | None = None
        self._fields: tuple[str, ...] = ()
        self._fresh = True
        self._used: set[str] = set()
        self._held = Held()
        self._pending = self._opened(header) if header else []

    def feed(self, events: Sequence[Event], logprob: Entry | None = None) -> list[dict[str, Any]]:
        """The chunks that events bring about.

        Where logprobs are wanted, feed what a single token brings about, and its entry with it, in the API's
        own form. An entry is shown with the text that its token completes.
        """
        deltas = self._taken()
        self._held.add(logprob, events)
        for event in events:
            if isinstance(event, MessageStart):
                deltas += self._opened(event.header)
            elif isinstance(event, ContentDelta):
                deltas += self._text(event.text)
            elif isinstance(event, MessageEnd):
                self._closed()
        return [self._chunk(delta) for delta in deltas]

    def finish(
        self, events: Sequence[Event] = (), stop: Stop = "stop", usage: Usage | None = None
    ) -> list[dict[str, Any]]:
        """The last chunks: what the parser makes of the end, why it ended, and the usage if it is wanted.

        With several choices, give the usage of them all to the last to finish.
        """
        chunks = self.feed(events)
        last = self._chunk({} if self._begun else {"role": "assistant"})
        last["choices"][0]["finish_reason"] = finish_reason(stop, self._calls > 0)
        chunks.append(last)
        if self._reply.include_usage and usage is not None:
            chunks.append({**self._head(), "choices": [], "usage": usage.for_chat()})
        return chunks

    # -- deltas --------------------------------------------------------------------------------------------

    def _taken(self) -> list[dict[str, Any]]:
        pending, self._pending = self._pending, []
        return pending

    def _opened(self, header: Header) -> list[dict[str, Any]]:
        self._kind = kind_of(header, self._reply.tools)
        self._fields = self._reply.fields_of(self._kind)
        self._fresh = True
        self._held.drop()
        deltas = [] if self._begun else [{"role": "assistant"}]
        self._begun = True
        if self._kind is Kind.CALL:
            deltas.append(self._new_call(header.recipient or ""))
        elif self._fields == ("content",):
            deltas.append({"content": ""})
        return deltas

    def _new_call(self, recipient: str) -> dict[str, Any]:
        function = {"name": self._reply.tools.to_client(recipient), "arguments": ""}
        call = {
            "index": self._calls,
            "id": self._reply.new_id("call"),
            "type": "function",
            "function": function,
        }
        self._calls += 1
        return {"tool_calls": [call]}

    def _text(self, text: str) -> list[dict[str, Any]]:
        if self._kind is Kind.CALL:
            return [{"tool_calls": [{"index": self._calls - 1, "function": {"arguments": text}}]}]
        if not self._fields:
            return []
        if self._fresh:
            self._fresh = False
            text = BREAK + text if self._fields[0] in self._used else text
            self._used.update(self._fields)
        return [dict.fromkeys(self._fields, text)]

    def _closed(self) -> None:
        self._kind, self._fields = None, ()

    # -- chunks --------------------------------------------------------------------------------------------

    def _chunk(self, delta: dict[str, Any]) -> dict[str, Any]:
        logprobs = None
        if delta.get("content") and (entries := self._held.take()):
            logprobs = as_logprobs(entries)
        choice = {"index": self._index, "delta": delta, "finish_reason": None, "logprobs": logprobs}
        usage = {"usage": None} if self._reply.include_usage else {}
        return {**self._head(), "choices": [choice], **usage}

    def _head(self) -> dict[str, Any]:
        return self._reply.head("chat.completion.chunk")
