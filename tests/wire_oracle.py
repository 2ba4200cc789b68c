"""The `openai` package as the judge of the JSON that `harmony_py.wire` makes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
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
    made = TypeAdapter(kind).validate_python(value, strict=True)
    unknown = {path for path, name in unknown_fields(made) if name not in extra}
    assert not unknown, unknown
    return made


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
