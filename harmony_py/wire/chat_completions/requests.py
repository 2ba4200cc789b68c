"""A chat completion request, read into a conversation and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harmony_py.wire.chat_completions.messages import read_messages
from harmony_py.wire.fields import Fields, check_json, invalid, one_of, shortened, unsupported, wrong_type
from harmony_py.wire.opening import EFFORTS, opened, system_message
from harmony_py.wire.options import (
    Options,
    Request,
    read_format,
    read_kept,
    read_limit,
    read_logit_bias,
    read_sampling,
    read_stop,
)
from harmony_py.wire.tools import (
    BROWSER,
    KNOWN_NAMESPACES,
    Function,
    ToolChoice,
    ToolNames,
    read_choice,
    read_function,
    read_namespace,
    refuse_namesakes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harmony_py.chat import SystemContent, ToolNamespaceConfig

_KEPT: Final = ("prediction", "prompt_cache_options", "store", "verbosity")
"""Fields of the API that change neither the prompt nor how it is sampled; `Options.other` has them."""


def read_request(
    request: object,
    *,
    system: SystemContent | None = None,
    builtin: Mapping[str, ToolNamespaceConfig] = KNOWN_NAMESPACES,
    allow: Iterable[str] = (),
) -> Request:
    """The conversation and the options of a request; `WireError` on anything that is not one.

    `system` is what the system message says beyond the request: identity, dates, built-in tools. `builtin`
    are the built-in tools that requests may ask for. As the API does, this refuses fields that the API does
    not know; those that the server understands beyond it, `allow` names, and `Options.other` has them.
    """
    check_json(request)
    fields = Fields(request)
    model = fields.needed_text("model")
    functions = _functions(fields)
    namespaces = _namespaces(fields, builtin)
    told = set(system.tools or ()) if system else set()
    names = ToolNames(
        frozenset(function.name for function in functions), frozenset({*told, *(n.name for n in namespaces)})
    )
    options = Options(
        model=model,
        functions=tuple(functions),
        builtin=names.builtin,
        tool_choice=_choice(fields, names),
        effort=fields.choice("reasoning_effort", EFFORTS),
        format=read_format(fields.object("response_format"), "json_schema"),
        **_sampling(fields),
        other=read_kept(fields, _KEPT, allow),
    )
    messages = fields.array("messages")
    if not messages:
        raise invalid("messages", "expected an array with at least one message")
    turns = read_messages(messages, names)
    _refuse_unsupported(fields)
    fields.close()
    told_of = [] if options.tool_choice.mode == "none" else functions
    opening = system_message(system, options.effort, namespaces)
    return Request(opened(opening, None, told_of, options.format, turns), options)


def _functions(fields: Fields) -> list[Function]:
    found = []
    for path, item in fields.array("tools"):
        tool = Fields(item, path)
        kind = tool.needed_text("type")
        if kind != "function":
            raise unsupported(tool.at("type"), f"'{shortened(kind)}'; this API takes functions")
        found.append(_function(tool.needed_object("function")))
        tool.close()
    found += [_function(Fields(item, path)) for path, item in fields.array("functions")]
    refuse_namesakes(found, "tools")
    return found


def _function(fields: Fields) -> Function:
    function = read_function(fields)
    fields.close()
    return function


def _namespaces(fields: Fields, builtin: Mapping[str, ToolNamespaceConfig]) -> list[ToolNamespaceConfig]:
    if fields.schema("web_search_options") is None:
        return []
    return [read_namespace("web_search", fields.at("web_search_options"), BROWSER, builtin)]


def _choice(fields: Fields, names: ToolNames) -> ToolChoice:
    choice = read_choice(fields, names, nested=True)
    legacy = fields.take("function_call")
    if legacy is None:
        return choice
    if isinstance(legacy, str):
        if legacy not in ("none", "auto"):
            raise one_of("function_call", legacy, ("none", "auto"))
        return ToolChoice("none" if legacy == "none" else "auto")
    place = Fields(legacy, "function_call")
    function = Function(place.name("name"))
    place.close()
    if function.name not in names.functions:
        raise invalid("function_call.name", f"the function '{function.name}' is not among the functions")
    return ToolChoice("required", (function.full_name,))


def _sampling(fields: Fields) -> dict[str, Any]:
    limits = [read_limit(fields, "max_completion_tokens"), read_limit(fields, "max_tokens")]
    streaming = fields.object("stream_options")
    found = {
        **read_sampling(fields),
        "max_tokens": min((limit for limit in limits if limit is not None), default=None),
        "frequency_penalty": fields.number("frequency_penalty", -2, 2),
        "presence_penalty": fields.number("presence_penalty", -2, 2),
        "logit_bias": read_logit_bias(fields),
        "seed": fields.integer("seed", -(2**63), 2**63 - 1),
        "stop": read_stop(fields),
        "n": fields.integer("n", 1, 128) or 1,
        "logprobs": fields.flag("logprobs") or False,
    }
    if found["top_logprobs"] is not None and not found["logprobs"]:
        raise invalid("top_logprobs", "it needs 'logprobs' to be true")
    if streaming is not None:
        found["include_usage"] = streaming.flag("include_usage") or False
        streaming.take("include_obfuscation")
        streaming.close()
        if not found["stream"]:
            raise invalid("stream_options", "it needs 'stream' to be true")
    return found


def _refuse_unsupported(fields: Fields) -> None:
    for name in ("audio", "moderation"):
        if fields.take(name) is not None:
            raise unsupported(
                name, "these models write text only" if name == "audio" else "there is none here"
            )
    for path, item in fields.array("modalities"):
        if not isinstance(item, str):
            raise wrong_type(path, "a string", item)
        if item != "text":
            raise unsupported(path, "these models write text only")
