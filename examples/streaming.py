"""What comes of tokens as they come: thoughts, an answer and a call, shown before the turn is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py import load_harmony_encoding
from harmony_py.format.events import ContentDelta, Event, MessageEnd, MessageStart

if TYPE_CHECKING:
    from collections.abc import Iterator

encoding = load_harmony_encoding()


def engine() -> Iterator[int]:
    """Stands in for yours: it samples one id after the other."""
    yield from encoding.encode(
        "<|channel|>analysis<|message|>The user wants tea. 🍵<|end|><|start|>assistant"
        "<|channel|>commentary<|message|>One moment.<|end|><|start|>assistant"
        '<|channel|>commentary to=functions.brew <|constrain|>json<|message|>{"tea": "谷雨"}<|call|>',
        allowed_special="all",
    )


def show(event: Event) -> None:
    if isinstance(event, MessageStart):
        to = f" to {event.header.recipient}" if event.header.recipient else ""
        print(f"[{event.header.channel}{to}] ", end="")
    elif isinstance(event, ContentDelta):
        print(event.text, end="|", flush=True)  # never half a character
    elif isinstance(event, MessageEnd):
        print()
        if event.message.is_tool_call:
            print(f"calls {event.message.recipient} with {event.message.arguments().value}")


parser = encoding.parser("assistant", policy="recover")
for token in engine():
    for event in parser.feed(token):
        show(event)
for event in parser.finish():  # a turn that was cut short ends here
    show(event)
