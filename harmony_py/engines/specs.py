"""What a request over OpenAI's APIs asks for, as a `TurnSpec` for masks and grammars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harmony_py.constrain import JsonSchema, Named, Text, TurnSpec
from harmony_py.errors import ConstraintError

if TYPE_CHECKING:
    from harmony_py.wire import Options


def turn_spec(options: Options, **more: Any) -> TurnSpec:
    """The turn that `options` ask for: their tools, choice and format. `more` goes to `TurnSpec`.

    `ConstraintError` for what no mask knows: a choice of a built-in tool.
    """
    choice = options.tool_choice
    tools = [function.described() for function in options.functions]
    chosen: Any = choice.mode
    if choice.names:
        tools = [tool for tool in tools if f"functions.{tool.name}" in choice.names]
        if len(tools) != len(choice.names):
            raise ConstraintError(f"expected functions, found {', '.join(choice.names)}", "tool_choice")
        if choice.mode == "required" and len(tools) == 1:
            chosen = Named(tools[0].name)
    built_in = tuple(sorted(options.builtin & {"python", "browser"}))
    return TurnSpec(tools, chosen, _final(options), **{"builtin_tools": built_in, **more})


def _final(options: Options) -> Text | JsonSchema:
    wanted = options.format
    if wanted is None:
        return Text()
    return JsonSchema({"type": "object"} if wanted.schema is None else wanted.schema)
