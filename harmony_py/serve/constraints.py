"""From what a request asks of the answer's form to a mask: structured output, and calls that must come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from harmony_py.constrain import JsonSchema, Mask, Named, Text, TurnSpec
from harmony_py.errors import ConstraintError, WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.chat import ToolDescription
    from harmony_py.wire import Format, Options

_ANY_OBJECT: Final = {"type": "object"}


def spec_of(options: Options) -> TurnSpec | None:
    """What the turn must be; None if it may be anything.

    A format, a call that is required, and functions whose arguments are `strict` are kept to. Otherwise the
    model is only told.
    """
    choice = options.tool_choice
    chosen = [f for f in options.functions if not choice.names or f.full_name in choice.names]
    strict = choice.mode == "auto" and any(function.strict for function in chosen)
    if options.format is None and choice.mode != "required" and not strict:
        return None
    tools = [] if choice.mode == "none" else [function.described() for function in chosen]
    return TurnSpec(tools, _choice(choice.mode, tools), _final(options.format))


def mask_for(options: Options, prompt: Sequence[int]) -> Mask | None:
    """The mask for what follows `prompt`; `WireError` if what is asked for cannot be had."""
    try:
        spec = spec_of(options)
        return None if spec is None else Mask.from_spec(spec, prompt)
    except ConstraintError as error:
        raise WireError(
            f"The schema cannot be kept to: {error}", _field(options), "invalid_schema"
        ) from error
    except ImportError as error:
        message = f"Structured output and required calls are not available here: {error}"
        raise WireError(message, _field(options), "unsupported_parameter") from error


def _choice(mode: str, tools: Sequence[ToolDescription]) -> Literal["auto", "none", "required"] | Named:
    if mode == "required":
        return Named(tools[0].name) if len(tools) == 1 else "required"
    return "auto" if tools else "none"


def _final(wanted: Format | None) -> Text | JsonSchema:
    if wanted is None:
        return Text()
    return JsonSchema(_ANY_OBJECT if wanted.schema is None else wanted.schema)


def _field(options: Options) -> str:
    return "tools" if options.format is None else "response_format"
