"""The response parser of transformers, with a response template of ours.

transformers reads a completion by a template that belongs to a tokenizer: regular expressions over text. None
for gpt-oss comes with the package, so what is tested here is the engine and `RESPONSE_TEMPLATE`, not whatever
template a checkpoint brings. It reads what the assistant says after a prompt, and nothing else.
"""

from __future__ import annotations

import codecs
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from harmony_py.format.decode import to_bytes
from harmony_py.testing.extras import require
from harmony_py.testing.implementation import Fields, Implementation, NotSupportedError, TokenStream
from harmony_py.testing.tokens import ids, spelled
from harmony_py.tokenizer.special import START

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLOSE: Final = r"<\|(?:end|call|return)\|>(?:<\|start\|>assistant)?"
_TYPE: Final = r"(?P<type> ?<\|constrain\|>\w+| \w+|)<\|message\|>"
_TO: Final = r" to=(?P<to>[\w.\-]+)"


def _region(open_pattern: str, **told: str) -> dict[str, Any]:
    return {
        "open_pattern": open_pattern,
        "close_pattern": _CLOSE,
        "content_args": {"strip": False},
        "repeats": True,
        "transform": {"text": "{content}", "content_type": "{type}", **told},
    }


RESPONSE_TEMPLATE: Final[dict[str, Any]] = {
    "version": 1,
    "start_anchor": "<|start|>assistant",
    "fields": {
        "thinking": _region(rf"<\|channel\|>analysis{_TYPE}", channel="analysis"),
        "preamble": _region(rf"<\|channel\|>commentary{_TYPE}", channel="commentary"),
        "content": _region(rf"<\|channel\|>final{_TYPE}", channel="final"),
        # The recipient stands before the channel or behind it.
        "tool_calls": _region(
            rf"(?:{_TO}<\|channel\|>(?P<channel>\w+)|<\|channel\|>(?P<channel>\w+){_TO}){_TYPE}",
            channel="{channel}",
            recipient="{to}",
        ),
    },
}

_ASSISTANT: Final = ids("assistant")[0]


def load() -> Implementation:
    require("transformers", "the adapter transformers")
    return Transformers()


class Transformers(Implementation):
    """`ResponseParser` of transformers, its regions as messages."""

    name = "transformers"

    def __init__(self) -> None:
        self.version = metadata.version("transformers")

    def parse(self, tokens: list[int], role: str | None) -> list[Fields]:
        parser = self.stream(role)
        parser.feed(tokens)
        parser.finish()
        return list(parser.messages())

    def recover(self, tokens: list[int], role: str | None, tools: Sequence[str] = ()) -> list[Fields]:
        return self.parse(tokens, role)

    def stream(self, role: str | None, *, recovers: bool = False) -> TokenStream:
        if role != "assistant":
            raise NotSupportedError("streams that do not continue the assistant's prompt")
        return RegionStream("<|start|>assistant")

    def resume(self, prompt: list[int], tokens: list[int]) -> list[Fields]:
        parser = RegionStream(spelled(prompt))
        parser.feed(tokens)
        parser.finish()
        return list(parser.messages())


class RegionStream(TokenStream):
    """`ResponseParser`, fed with the text of tokens as its characters become complete."""

    def __init__(self, prefix: str) -> None:
        chat_parsing = require("transformers.utils.chat_parsing", "the adapter transformers")
        self._parser = chat_parsing.ResponseParser(RESPONSE_TEMPLATE, prefix=prefix)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._messages: list[Fields] = []
        self._begins = False

    def feed(self, tokens: Sequence[int]) -> str:
        for token in tokens:
            if self._begins and token != _ASSISTANT:
                raise NotSupportedError("messages that are not the assistant's")
            self._begins = token == START
        return self._take(self._parser.feed(self._decoder.decode(to_bytes(tokens))))

    def finish(self) -> str:
        text = self._take(self._parser.feed(self._decoder.decode(b"", final=True)))
        _, events = self._parser.finalize()
        return text + self._take(events)

    def messages(self) -> list[Fields]:
        return self._messages

    def _take(self, events: list[dict[str, Any]]) -> str:
        """The text in `events`; the regions that they close become messages."""
        for event in events:
            if event["type"] == "region_close":
                told = event["value"]
                content_type = told["content_type"].strip() or None
                recipient = told.get("recipient")
                self._messages.append(
                    Fields("assistant", None, told["channel"], recipient, content_type, told["text"])
                )
        return "".join(event["text"] for event in events if event["type"] == "region_chunk")
