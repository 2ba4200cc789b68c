"""A Python function as a tool: its name, its docstring, and a JSON Schema of its arguments."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.chat import ToolDescription


class FunctionTool(NamedTuple):
    """What the model is told of a function, and what runs when it calls it."""

    description: ToolDescription
    call: Callable[..., object]
    """Checks the arguments against the function's annotations before it runs it."""


def load(place: str) -> FunctionTool:
    """The tool at `place`, which is `FILE.py:FUNCTION`. The file is run, as an import would."""
    file, colon, name = place.rpartition(":")
    if not colon or not name.isidentifier():
        raise HarmonyError(f"{place}: expected FILE.py:FUNCTION")
    found = getattr(_module(Path(file)), name, None)
    if not callable(found) or inspect.iscoroutinefunction(found):
        raise HarmonyError(f"{file}: expected a plain function called {name}, found {found!r}")
    return of(found)


def of(function: Callable[..., object]) -> FunctionTool:
    """`function` as a tool: what its docstring's first paragraph says, its annotations as a schema."""
    import pydantic

    from harmony_py.chat import ToolDescription

    try:
        schema = pydantic.TypeAdapter(cast("Any", function)).json_schema()
        checked = pydantic.validate_call(function)
    except (pydantic.errors.PydanticUserError, TypeError) as problem:
        reason = str(problem).splitlines()[0]
        raise HarmonyError(f"{function.__name__}: its arguments have no JSON Schema: {reason}") from None
    if schema.get("type") != "object":
        raise HarmonyError(f"{function.__name__}: a model passes arguments by name, this one takes places")
    said = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
    return FunctionTool(ToolDescription.new(function.__name__, said, _untitled(schema)), checked)


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the titles that pydantic makes of the arguments' names: the model reads every word."""
    properties = schema.get("properties", {})
    plain = {name: {k: v for k, v in each.items() if k != "title"} for name, each in properties.items()}
    return {**schema, "properties": plain}


def _module(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"harmony_py_tools_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise HarmonyError(f"{path}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # annotations that are strings are looked up there
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        raise HarmonyError(f"{path}: {type(problem).__name__}: {problem}") from problem
    return module
