"""The tools of a chat: which callable a call means, and what the model is told of its result."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.chat.content import FUNCTIONS
from harmony_py.errors import ArgumentsError, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.chat import Message

BARE: Final = frozenset({"python"})
"""Built-in tools that are called by a name without a namespace, and with text instead of arguments."""

LONGEST_ERROR: Final = 1000
"""In characters: an exception may hold anything, and the model reads all of it."""


def _expressible(text: str) -> str:
    """`text` without lone surrogates, which no encoding can express."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Answer(NamedTuple):
    """What the model is told."""

    text: str
    error: str | None = None
    """Why there is no result; None if there is one."""

    @classmethod
    def of_error(cls, error: str) -> Answer:
        error = _expressible(error[:LONGEST_ERROR])
        return cls(json.dumps({"error": error}, ensure_ascii=False), error)


INTERRUPTED: Final = Answer.of_error("the call was interrupted")


class Tools:
    """Callables by the names that the model calls them by."""

    def __init__(self, tools: Mapping[str, Callable[..., object]]) -> None:
        if not isinstance(tools, Mapping):
            raise TypeError(f"tools: expected callables by their names, found a {type(tools).__name__}")
        for name, tool in tools.items():
            if not callable(tool) or inspect.iscoroutinefunction(tool):
                raise TypeError(f"tools[{name!r}]: expected a plain callable, found {tool!r}")
        self._tools = {_full_name(name): tool for name, tool in tools.items()}
        self.names = frozenset(self._tools)
        """The full names."""

    def run(self, call: Message) -> Answer:
        """Call the tool. Whatever goes wrong is an answer too; only what is no `Exception` comes through."""
        name = call.recipient or ""
        tool = self._tools.get(name)
        if tool is None:
            known = ", ".join(sorted(self.names)) or "none"
            return Answer.of_error(f"there is no tool {name!r}; there is: {known}")
        try:
            result = tool(call.text) if _takes_text(name, tool) else tool(**_arguments(call))
        except ToolError as error:
            text = _expressible(str(error))
            return Answer(text, text)
        except ArgumentsError as error:
            return Answer.of_error(str(error))
        except Exception as error:
            return Answer.of_error(f"{type(error).__name__}: {error}")
        try:
            return Answer(_expressible(_text(result)))
        except (TypeError, ValueError, RecursionError) as error:
            return Answer.of_error(f"the tool returned neither text nor JSON: {error}")


def _full_name(name: str) -> str:
    return name if "." in name or name in BARE else f"{FUNCTIONS}.{name}"


def _takes_text(name: str, tool: Callable[..., object]) -> bool:
    """Whether a tool gets the call's text as it stands, and reads it itself."""
    return name in BARE or getattr(tool, "takes_text", False) is True


def _arguments(call: Message) -> dict[str, Any]:
    """The call's arguments. Slips that models are known to make are mended; what was cut short is not."""
    arguments = call.arguments(repair=True)
    return call.arguments().value if "cut_short" in arguments.repairs else arguments.value


def _text(result: object) -> str:
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, allow_nan=False)
