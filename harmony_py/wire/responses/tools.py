"""`tools` of a Responses request: functions, and tools that the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from harmony_py.wire.fields import Fields, invalid, shortened, unsupported
from harmony_py.wire.tools import (
    BROWSER,
    BUILT_IN_TYPES,
    Function,
    read_function,
    read_namespace,
    refuse_namesakes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harmony_py.chat import ToolNamespaceConfig


class Tools(NamedTuple):
    functions: list[Function]
    namespaces: list[ToolNamespaceConfig]
    echo: list[dict[str, Any]]
    """The tools as the response repeats them: without secrets, and only what had an effect."""


def read_tools(items: list[tuple[str, Any]], builtin: Mapping[str, ToolNamespaceConfig]) -> Tools:
    tools = Tools([], [], [])
    for path, item in items:
        fields = Fields(item, path)
        kind = fields.needed_text("type")
        if kind == "function":
            _add_function(fields, tools)
        elif kind == "mcp":
            _add_server(fields, tools, builtin)
        elif kind in BUILT_IN_TYPES:
            _add_builtin(kind, fields, tools, builtin)
        else:
            raise unsupported(fields.at("type"), f"the tool '{shortened(kind)}' is not offered here")
        fields.close()
    refuse_namesakes(tools.functions, "tools")
    return tools


def _add_function(fields: Fields, tools: Tools) -> None:
    function = read_function(fields)
    for hint in ("allowed_callers", "async", "defer_loading", "output_schema"):
        fields.take(hint)
    tools.functions.append(function)
    tools.echo.append({"type": "function", **function._asdict()})


def _add_builtin(kind: str, fields: Fields, tools: Tools, builtin: Mapping[str, ToolNamespaceConfig]) -> None:
    name = BUILT_IN_TYPES[kind]
    tools.namespaces.append(read_namespace(kind, fields.at("type"), name, builtin))
    if name == BROWSER:
        if fields.take("filters") is not None:
            raise unsupported(fields.at("filters"), "nothing here would heed them")
        for hint in ("external_web_access", "search_context_size", "user_location", "search_content_types"):
            fields.take(hint)
        tools.echo.append({"type": "web_search"})
        return
    container = fields.take("container") or {"type": "auto"}
    fields.take("allowed_callers")
    if isinstance(container, dict):
        place = Fields(container, fields.at("container"))
        place.choice("type", ("auto",))
        place.close()
        container = {"type": "auto"}
    elif not isinstance(container, str):
        raise invalid(fields.at("container"), "expected an id or an object")
    tools.echo.append({"type": "code_interpreter", "container": container})


def _add_server(fields: Fields, tools: Tools, builtin: Mapping[str, ToolNamespaceConfig]) -> None:
    """An MCP server that our server is connected to. It is called without asking: say so, or be refused."""
    label = fields.needed_text("server_label")
    namespace = read_namespace(f"mcp {shortened(label)}", fields.at("server_label"), label, builtin)
    if fields.take("require_approval") != "never":
        raise unsupported(fields.at("require_approval"), "only 'never' is: nobody is asked here")
    allowed = fields.take("allowed_tools")
    if isinstance(allowed, dict):
        filtered = Fields(allowed, fields.at("allowed_tools"))
        allowed = filtered.take("tool_names")
        filtered.close()
    if allowed is not None:
        if not isinstance(allowed, list):
            raise invalid(fields.at("allowed_tools"), "expected the names of tools")
        kept = [tool for tool in namespace.tools if tool.name in allowed]
        namespace = namespace.model_copy(update={"tools": kept})
    for theirs in ("authorization", "connector_id", "headers", "server_url", "tunnel_id"):
        if fields.take(theirs) is not None:
            raise unsupported(fields.at(theirs), "MCP servers are those that this server is connected to")
    fields.take("server_description")
    tools.namespaces.append(namespace)
    tools.echo.append({"type": "mcp", "server_label": label, "require_approval": "never"})
