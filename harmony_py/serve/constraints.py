"""From what a request asks of the answer's form to a mask: structured output, and calls that must come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.constrain import Mask
from harmony_py.engines.specs import chosen_functions, turn_spec
from harmony_py.errors import ConstraintError, WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.constrain import TurnSpec
    from harmony_py.wire import Options


def spec_of(options: Options) -> TurnSpec | None:
    """What the turn must be; None if it may be anything.

    A format, a call that is required, and functions whose arguments are `strict` are kept to. Otherwise the
    model is only told.
    """
    mode = options.tool_choice.mode
    strict = mode == "auto" and any(function.strict for function in chosen_functions(options))
    if options.format is None and mode != "required" and not strict:
        return None
    return turn_spec(options, builtin_tools=())


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


def _field(options: Options) -> str:
    return "tools" if options.format is None else "response_format"
