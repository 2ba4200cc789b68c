"""What the page asks, and the answers: plain data on both sides.

A question is an object with `ask`, which names what is asked, and the fields that belong to it. An answer is
an object too; one with an `error` says what is wrong with the question.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from harmony_py.chat.reading import first_problem
from harmony_py.errors import HarmonyError
from harmony_py.inspector.allowed import explained
from harmony_py.inspector.breaking import broken
from harmony_py.inspector.schema import typescript
from harmony_py.inspector.source import Opened, Source, SourceError, open_source
from harmony_py.inspector.view import view


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AboutStream(_Question):
    """`"view"`: the stream as both parsers see it. `"allowed"`: what a mask would say before each token."""

    ask: Literal["view", "allowed"]
    source: Source
    pattern: str | None = None
    """What is done to the stream before: one of the harness's operators, and its seed."""
    seed: int = 0


class AboutSchema(_Question):
    """`"typescript"`: what the model is told of a tool."""

    ask: Literal["typescript"]
    text: str


class _Looked(NamedTuple):
    opened: Opened
    done: dict[str, Any] | None


def answer(question: Any) -> dict[str, Any]:
    """The answer to a question, which may come from anybody: whatever it is, this does not raise."""
    try:
        return _answer(_read(question))
    except HarmonyError as problem:
        return {"error": str(problem)}


def _read(question: Any) -> AboutStream | AboutSchema:
    kind = AboutSchema if isinstance(question, dict) and question.get("ask") == "typescript" else AboutStream
    try:
        return kind.model_validate(question)
    except ValidationError as problem:
        raise SourceError("question", first_problem(problem)) from None


def _answer(question: AboutStream | AboutSchema) -> dict[str, Any]:
    if isinstance(question, AboutSchema):
        return typescript(question.text)
    looked = _look(question)
    if question.ask == "allowed":
        return explained(looked.opened)
    return {**view(looked.opened), "done": looked.done}


def _look(question: AboutStream) -> _Looked:
    opened = open_source(question.source)
    if question.pattern is None:
        return _Looked(opened, None)
    after = broken(opened, question.pattern, question.seed)
    return _Looked(after.opened, after.report)
