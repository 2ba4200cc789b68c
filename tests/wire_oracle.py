"""The `openai` package as the judge of the JSON that `harmony_py.wire` makes."""

from __future__ import annotations

import functools
import itertools
import json
from typing import TYPE_CHECKING, Any

from openai import omit
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from harmony_py.format.parse import StreamableParser, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harmony_py.format.events import Event
    from harmony_py.format.parse import ParseResult

REASONING = {"reasoning", "reasoning_content"}
"""The fields of ours that the API's types do not have."""


def valid(kind: Any, value: Any, *, extra: frozenset[str] | set[str] = frozenset()) -> Any:
    """`value` as one of the package's types: nothing is converted, and no field is unknown but `extra`."""
    made = _adapter(kind).validate_python(value, strict=True)
    unknown = {path for path, name in unknown_fields(made) if name not in extra}
    assert not unknown, unknown
    return made


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Making one takes far longer than using it."""
    return TypeAdapter(kind)


def unknown_fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        yield from ((f"{path}.{name}", name) for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from unknown_fields(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from unknown_fields(item, f"{path}[]")


def counting() -> Callable[[str], str]:
    """Ids that are the same each time."""
    numbers = itertools.count()
    return lambda prefix: f"{prefix}_{next(numbers)}"


def parsed(tokens: list[int], tools: Iterable[str] = ()) -> ParseResult:
    return parse(tokens, "assistant", policy="recover", tools=tools)


def parsed_events(
    chunks: Iterable[list[int]], tools: Iterable[str] = ()
) -> tuple[list[list[Event]], list[Event]]:
    """The events of each chunk of tokens, and those of the end."""
    parser = StreamableParser(None, "assistant", policy="recover", tools=tools)
    return [parser.feed(chunk) for chunk in chunks], parser.finish()


def accumulated(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What the package makes of a stream's chunks."""
    state: Any = ChatCompletionStreamState()
    for chunk in chunks:
        list(state.handle_chunk(valid(ChatCompletionChunk, chunk, extra=REASONING)))
    final = state.current_completion_snapshot.to_dict()
    for choice in final["choices"]:
        choice["message"].pop("parsed", None)
        for call in choice["message"].get("tool_calls") or []:
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
    return dict(final)


def as_api(completion: dict[str, Any]) -> dict[str, Any]:
    """A completion as the package reads and writes it."""
    return dict(valid(ChatCompletion, completion, extra=REASONING).to_dict())


# -- the Responses API ---------------------------------------------------------------------------------------


def as_response(response: dict[str, Any]) -> dict[str, Any]:
    """A response as the package reads and writes it."""
    return dict(valid(Response, response).to_dict())


def replayed(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The response that a stream's events end in, each event judged by itself and by those before it."""
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    items: dict[int, _Replay] = {}
    for number, event in enumerate(events):
        list(state.handle_event(valid(ResponseStreamEvent, event)))
        assert event["sequence_number"] == number
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(items)
            items[event["output_index"]] = _Replay(event["item"])
        elif "output_index" in event:
            items[event["output_index"]].take(event)
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    whole = events[-1]["response"]
    assert events[-1]["type"] == f"response.{whole['status']}"
    assert [replay.done for replay in items.values()] == whole["output"]
    # What the package itself adds up: texts and arguments while they come, the response at the end.
    for found, item in zip(state._ResponseStreamState__current_snapshot.output, whole["output"], strict=True):
        if item["type"] == "function_call":
            assert found.arguments == item["arguments"]
        elif item["type"] == "message":
            assert [part.text for part in found.content] == [part["text"] for part in item["content"]]
    if whole["status"] == "completed":
        assert [item.id for item in state._completed_response.output] == [
            each["id"] for each in whole["output"]
        ]
    return dict(whole)


class _Replay:
    """One item: its events come in order, and its deltas add up to what it is in the end."""

    def __init__(self, item: dict[str, Any]) -> None:
        assert item["status"] == "in_progress"
        assert not item.get("content")
        self.id = item["id"]
        self.done: dict[str, Any] | None = None
        self._parts = 0
        self._text = ""
        self._stages: list[str] = []

    def take(self, event: dict[str, Any]) -> None:
        assert self.done is None
        assert event.get("item_id", self.id) == self.id
        stage = event["type"].rpartition(".")[2]
        self._stages += [stage] if stage not in self._stages[-1:] else []
        if event["type"] == "response.content_part.added":
            assert event["content_index"] == self._parts
            self._parts += 1
        elif "content_index" in event:
            assert event["content_index"] == self._parts - 1
        if stage == "delta":
            self._text += event["delta"]
        elif event["type"] == "response.output_item.done":
            self.done = event["item"]
            assert self.done["id"] == self.id
            assert _text_of(self.done) in (self._text, None)
        elif stage == "done":
            text = next(event[name] for name in ("text", "arguments", "code", "part") if name in event)
            assert (text["text"] if isinstance(text, dict) else text) == self._text


def _text_of(item: dict[str, Any]) -> str | None:
    if "content" in item:
        return "".join(part["text"] for part in item["content"])
    return item.get("arguments", item.get("code"))


def ask_of_the_weather(client: Any, tools: Any, messages: list[Any], *, streamed: bool) -> Any:
    """An agent's loop: the model thinks, calls a tool, is told what it gave, and answers: the last answer."""

    def ask() -> Any:
        if not streamed:
            return client.chat.completions.create(model="m", messages=messages, tools=tools)
        counted: Any = {"include_usage": True}
        with client.chat.completions.stream(
            model="m", messages=messages, tools=tools, stream_options=counted
        ) as stream:
            stream.until_done()
            return stream.get_final_completion()

    first = ask().choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.reasoning == "I should look."
    [call] = first.message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Łódź"}
    messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    return ask()
