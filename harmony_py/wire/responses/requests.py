"""A Responses request, read into a conversation, options, and what the response says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.errors import WireError
from harmony_py.wire.fields import Fields, check_json, invalid, shortened, unsupported, wrong_type
from harmony_py.wire.opening import EFFORTS, opened, system_message
from harmony_py.wire.options import Options, read_format, read_kept, read_limit, read_sampling
from harmony_py.wire.responses.echo import echo
from harmony_py.wire.responses.items import read_items
from harmony_py.wire.responses.store import NOTHING_SAID, Past
from harmony_py.wire.responses.tools import read_tools
from harmony_py.wire.tools import KNOWN_NAMESPACES, ToolNames, read_choice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harmony_py.chat import Conversation, SystemContent, ToolNamespaceConfig
    from harmony_py.wire.responses.store import Store
    from harmony_py.wire.tools import Function

_KEPT: Final = ("include", "prompt_cache_options")
"""Fields of the API that change neither the prompt nor how it is sampled; `Options.other` has them."""

LOGPROBS: Final = "message.output_text.logprobs"
"""What `include` says to have them."""

_UNSUPPORTED: Final = (
    "access_programs",
    "background",
    "background_options",
    "context_management",
    "conversation",
    "image",
    "moderation",
    "prompt",
)


class ResponsesRequest(NamedTuple):
    """A request that was understood."""

    conversation: Conversation
    options: Options
    past: Past
    """The conversation without system message and this request's instructions: what a store keeps."""
    echo: dict[str, Any]
    """The fields of a response that repeat the request."""
    store: bool
    """Whether the response is to be remembered."""


def read_request(
    request: object,
    *,
    system: SystemContent | None = None,
    builtin: Mapping[str, ToolNamespaceConfig] = KNOWN_NAMESPACES,
    store: Store | None = None,
    allow: Iterable[str] = (),
) -> ResponsesRequest:
    """The conversation and the options of a request; `WireError` on anything that is not one.

    `system` is what the system message says beyond the request, `builtin` are the built-in tools and the MCP
    servers that requests may ask for, by their namespaces, and `store` knows earlier responses. As the API
    does, this refuses fields that the API does not know, but for those that `allow` names.
    """
    check_json(request)
    fields = Fields(request)
    tools = read_tools(fields.array("tools"), builtin)
    told = frozenset(system.tools or ()) if system else frozenset()
    names = ToolNames(
        frozenset(function.name for function in tools.functions),
        told | {namespace.name for namespace in tools.namespaces},
    )
    options = _options(fields, tools.functions, names, allow)
    previous, instructions = fields.text("previous_response_id"), fields.text("instructions")
    past = read_items(_input(fields), names, _earlier(previous, store), store)
    if not past.turns:
        raise invalid("input", "expected at least one item")
    keep = fields.flag("store")
    _refuse_unsupported(fields)
    fields.close()
    told_of = [] if options.tool_choice.mode == "none" else tools.functions
    opening = system_message(system, options.effort, tools.namespaces)
    conversation = opened(opening, instructions, told_of, options.format, past.turns)
    said = {"instructions": instructions, "previous_response_id": previous, "tools": tools.echo}
    return ResponsesRequest(conversation, options, past, {**echo(options), **said}, keep is not False)


def _input(fields: Fields) -> list[tuple[str, Any]]:
    """The items of the input. A string is what the user says."""
    value = fields.need("input")
    if isinstance(value, str):
        return [("input", {"role": "user", "content": value})]
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array", value)
    return [(f"input[{i}]", item) for i, item in enumerate(value)]


def _earlier(response_id: str | None, store: Store | None) -> Past:
    if response_id is None:
        return NOTHING_SAID
    found = store.past(response_id) if store else None
    if found is None:
        message = f"Previous response with id '{shortened(response_id)}' not found."
        raise WireError(message, "previous_response_id", "previous_response_not_found")
    return found


def _options(fields: Fields, functions: list[Function], names: ToolNames, allow: Iterable[str]) -> Options:
    reasoning, text = fields.object("reasoning"), fields.object("text")
    effort = reasoning.choice("effort", EFFORTS) if reasoning else None
    wanted = read_format(text.object("format"), None) if text else None
    other = read_kept(fields, _KEPT, allow)
    if (most_calls := read_limit(fields, "max_tool_calls")) is not None:
        other["max_tool_calls"] = most_calls
    if reasoning:
        for hint in ("context", "generate_summary", "mode", "summary"):
            reasoning.take(hint)
        reasoning.close()
    if text:
        text.choice("verbosity", ("low", "medium", "high"))
        text.close()
    streaming = fields.object("stream_options")
    if streaming:
        streaming.take("include_obfuscation")
        streaming.close()
    if (truncation := fields.choice("truncation", ("auto", "disabled"))) is not None:
        other["truncation"] = truncation
    return Options(
        model=fields.needed_text("model"),
        functions=tuple(functions),
        builtin=names.builtin,
        tool_choice=read_choice(fields, names, nested=False),
        effort=effort,
        format=wanted,
        logprobs=_wants_logprobs(other),
        max_tokens=read_limit(fields, "max_output_tokens"),
        **read_sampling(fields),
        other=other,
    )


def _wants_logprobs(other: dict[str, Any]) -> bool:
    included = other.get("include", [])
    if not isinstance(included, list):
        raise wrong_type("include", "an array", included)
    return LOGPROBS in included


def _refuse_unsupported(fields: Fields) -> None:
    for name in _UNSUPPORTED:
        value = fields.take(name)
        if value is not None and value is not False:
            raise unsupported(name, "there is no such thing here")
