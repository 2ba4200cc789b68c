"""What a response repeats of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harmony_py.wire.tools import BROWSER, PYTHON

if TYPE_CHECKING:
    from harmony_py.wire.options import Options
    from harmony_py.wire.tools import ToolChoice

_KEPT: Final = ("max_tool_calls", "prompt_cache_key", "safety_identifier", "truncation", "user")


def echo(options: Options) -> dict[str, Any]:
    """The fields of a response that say how it was asked for; their names are the request's."""
    said = {
        "model": options.model,
        "max_output_tokens": options.max_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "reasoning": {"effort": options.effort, "summary": None},
        "text": {"format": {"type": "text"} if options.format is None else options.format.to_dict()},
        "tool_choice": choice(options.tool_choice),
        "parallel_tool_calls": options.parallel_tool_calls,
        "top_logprobs": options.top_logprobs,
        "metadata": options.other.get("metadata", {}),
    }
    return {**said, **{name: options.other[name] for name in _KEPT if name in options.other}}


def choice(wanted: ToolChoice) -> str | dict[str, Any]:
    names = [_reference(name) for name in wanted.names]
    if not names:
        return wanted.mode
    if wanted.mode == "required" and len(names) == 1:
        return names[0]
    return {"type": "allowed_tools", "mode": wanted.mode, "tools": names}


def _reference(full_name: str) -> dict[str, Any]:
    """A function by its name, any other tool by its type or its server."""
    namespace, _, name = full_name.partition(".")
    if name:
        return {"type": "function", "name": name}
    if namespace in _TYPES:
        return {"type": _TYPES[namespace]}
    return {"type": "mcp", "server_label": namespace}


_TYPES: Final = {BROWSER: "web_search_preview", PYTHON: "code_interpreter"}
