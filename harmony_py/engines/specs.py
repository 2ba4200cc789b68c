"""What a request over OpenAI's APIs asks for, as a `TurnSpec` for masks and grammars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmony_py.constrain import JsonSchema, Text, TurnSpec
from harmony_py.errors import ConstraintError

if TYPE_CHECKING:
    from harmony_py.wire import Function, Options


def turn_spec(options: Options, **more: Any) -> TurnSpec:
    """The turn that `options` ask for: their tools, choice and format. `more` goes to `TurnSpec`.

    `ConstraintError` for what no mask knows: a choice of a built-in tool.
    """
    choice = options.tool_choice
    functions = [] if choice.mode == "none" else chosen_functions(options)
    if len(functions) < len(set(choice.names)):
        raise ConstraintError(f"expected functions, found {', '.join(choice.names)}", "tool_choice")
    built_in = () if choice.names else tuple(sorted(options.builtin & {"python", "browser"}))
    tools = [function.described() for function in functions]
    return TurnSpec(tools, choice.mode, _final(options), **{"builtin_tools": built_in, **more})


def chosen_functions(options: Options) -> list[Function]:
    """The functions that the choice leaves, all if it names none."""
    names = options.tool_choice.names
    return [function for function in options.functions if not names or function.full_name in names]


def _final(options: Options) -> Text | JsonSchema:
    wanted = options.format
    if wanted is None:
        return Text()
    return JsonSchema({"type": "object"} if wanted.schema is None else wanted.schema)
