"""What the callables of tools have in common, and limits for those of others."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from harmony_py.errors import ToolError
from harmony_py.tools.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER: Final = re.compile(r"\s*-?[0-9]{1,18}\s*")

_Callable = TypeVar("_Callable", bound="Callable[..., Any]")
_Result = TypeVar("_Result")


def takes_text(function: _Callable) -> _Callable:
    """Mark a callable that gets the text of a call as it stands, where others get arguments by keyword."""
    function.takes_text = True  # type: ignore[attr-defined]
    return function


def require(what: str, extra: str, *packages: str) -> None:
    """`ImportError` that says how to get what is not installed: now, to you, not later to the model."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ImportError(f"{what} needs {package}: pip install 'harmony-py[{extra}]'", name=package)


def within(seconds: float, what: str, function: Callable[..., _Result], *arguments: Any) -> _Result:
    """What the function returns; `ToolError` if it takes longer, or raises anything else.

    A function that goes on is left alone, in a thread that does not keep the program from ending.
    """
    outcome: list[tuple[_Result | None, BaseException | None]] = []

    def call() -> None:
        try:
            outcome.append((function(*arguments), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=call, daemon=True, name=what)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise ToolError(f"{what} did not end within {seconds:g} seconds")
    result, error = outcome[0]
    if isinstance(error, ToolError):
        raise error
    if error is not None:
        raise ToolError(f"{what} failed: {type(error).__name__}: {error}") from error
    return cast("_Result", result)


def bounded(
    tool: Callable[..., Any], *, seconds: float = 60.0, characters: int = 20_000
) -> Callable[..., str]:
    """A tool of your own with limits: too long a wait is given up, too long an answer loses its middle.

    What is given up goes on in its thread; only a process of its own could be stopped.
    """
    name = getattr(tool, "__name__", "the tool")

    @functools.wraps(tool)
    def call(*arguments: Any, **named: Any) -> str:
        result = within(seconds, name, functools.partial(tool, *arguments, **named))
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, allow_nan=False)
        if len(text) <= characters:
            return text
        output = Output(characters)
        output.add(text)
        return output.text()

    return call


def whole_number(name: str, value: object) -> int:
    """An argument that the model was asked to write as a number; `ToolError` if it is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise ToolError(f"`{name}`: expected a whole number, found {value!r:.100}")
    return int(value)
