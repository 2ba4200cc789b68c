"""The page as one file, every answer that it may ask for inside: to be mailed, kept, opened offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harmony_py.errors import HarmonyError
from harmony_py.inspector.answer import answer
from harmony_py.inspector.document import document
from harmony_py.inspector.schema import typescript

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harmony_py.inspector.examples import Example

SEEDS: Final = 2
"""In how many ways each operator is applied beforehand."""


def export(examples: Sequence[Example]) -> str:
    """The HTML of a page that shows `examples` and nothing else, and needs no server.

    What can be broken is broken in advance, in up to two ways an operator. `HarmonyError` for an example
    that cannot be read.
    """
    answers = [dict(_answers(example)) for example in examples]
    tools = [tool for found in answers for tool in found["view"]["schemas"]]
    schemas = [{**tool, "answer": typescript(tool["text"])} for tool in tools]
    return document(examples, schemas, answers).html


def _answers(example: Example) -> Iterator[tuple[str, dict[str, Any]]]:
    """The answers about one example by the names under which the page looks for them."""
    source = example.source.model_dump()
    view = _answer({"ask": "view", "source": source})
    yield "view", view
    yield "allowed", _answer({"ask": "allowed", "source": source})
    for pattern in view["breakable"]:
        seen: list[dict[str, Any]] = []
        for seed in range(SEEDS):
            about = {"source": source, "pattern": pattern, "seed": seed}
            found = _answer({"ask": "view", **about})
            if found in seen:
                continue
            yield f"view {pattern} {len(seen)}", found
            yield f"allowed {pattern} {len(seen)}", _answer({"ask": "allowed", **about})
            seen.append(found)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    found = answer(question)
    if "error" in found:
        raise HarmonyError(found["error"])
    return found
