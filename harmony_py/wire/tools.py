"""Tools on the wire and in the format: how they are declared, named and chosen.

A developer's function `f` is `functions.f` to the model and `f` to the client. The tools that the server
runs itself, such as `browser.search` and `python`, stand in namespaces of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from harmony_py.chat import ToolDescription, ToolNamespaceConfig
from harmony_py.chat.content import FUNCTIONS
from harmony_py.format.header import BUILT_IN_TOOLS
from harmony_py.wire.fields import Fields, invalid, missing, one_of, shortened, unsupported, wrong_type

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX: Final = FUNCTIONS + "."

BROWSER: Final = "browser"
PYTHON: Final = "python"

KNOWN_NAMESPACES: Final[Mapping[str, ToolNamespaceConfig]] = {
    BROWSER: ToolNamespaceConfig.browser(),
    PYTHON: ToolNamespaceConfig.python(),
}
"""The two built-in tools that the models were trained with."""

BUILT_IN_TYPES: Final = {
    "web_search": BROWSER,
    "web_search_2025_08_26": BROWSER,
    "web_search_preview": BROWSER,
    "web_search_preview_2025_03_11": BROWSER,
    "browser_search": BROWSER,
    "code_interpreter": PYTHON,
}
"""The API's names for them. `browser_search` is that of servers for these models."""


class Function(NamedTuple):
    """A function that the developer declares, by its bare name."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    """The arguments must follow the schema: for who constrains the sampling."""

    @property
    def full_name(self) -> str:
        return _PREFIX + self.name

    def described(self) -> ToolDescription:
        return ToolDescription(name=self.name, description=self.description, parameters=self.parameters)


class ToolChoice(NamedTuple):
    """Whether a tool must be called, and which may be."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()
    """Full names of functions, namespaces of built-in tools. Empty: all that there are."""


class ToolNames(NamedTuple):
    """The names of the tools there are, for saying to the client what the model called, and back."""

    functions: frozenset[str] = frozenset()
    """Bare names."""
    builtin: frozenset[str] = frozenset()
    """Namespaces."""

    def full(self) -> list[str]:
        """The names that a parser may correct recipients to."""
        return sorted(_PREFIX + name for name in self.functions)

    def is_builtin(self, recipient: str) -> bool:
        """Whether the server itself answers a call to `recipient`."""
        return recipient.partition(".")[0] in self.builtin

    def to_client(self, recipient: str) -> str:
        """The name by which a client knows what was called: the bare one, if no other tool can be meant."""
        bare = recipient.removeprefix(_PREFIX)
        return bare if self.to_model(bare) == recipient else recipient

    def to_model(self, name: str) -> str:
        """The recipient of a call to what the client names. Undoes `to_client`."""
        is_full = name not in self.functions and (not name or "." in name or name in BUILT_IN_TOOLS)
        return name if is_full else _PREFIX + name


NO_TOOLS: Final = ToolNames()
ANY_CHOICE: Final = ToolChoice("auto")


def read_function(fields: Fields) -> Function:
    """A declaration, whatever else stands beside its four fields left to the caller."""
    return Function(
        fields.name("name"), fields.text("description"), fields.schema("parameters"), fields.flag("strict")
    )


def refuse_namesakes(functions: list[Function], path: str) -> None:
    seen: set[str] = set()
    for function in functions:
        if function.name in seen:
            raise invalid(path, f"the function '{function.name}' is declared twice")
        seen.add(function.name)


def read_namespace(
    kind: str, path: str, name: str, offered: Mapping[str, ToolNamespaceConfig]
) -> ToolNamespaceConfig:
    """The namespace of a built-in tool, if the server offers it."""
    if name not in offered:
        raise unsupported(path, f"the tool '{kind}' is not offered here")
    return offered[name]


def read_choice(fields: Fields, names: ToolNames, *, nested: bool) -> ToolChoice:
    """`tool_choice` in any of its forms. `nested` is how Chat Completions writes the objects."""
    path = fields.at("tool_choice")
    value = fields.take("tool_choice")
    choice = _plain_choice(value, path) if isinstance(value, str) else ANY_CHOICE
    if isinstance(value, dict):
        choice = _choice_object(Fields(value, path), names, nested)
    elif value is not None and not isinstance(value, str):
        raise wrong_type(path, "a string or an object", value)
    if choice.mode == "required" and not (names.functions or names.builtin):
        raise invalid(path, "'required' needs tools, and there are none")
    return choice


def _plain_choice(value: str, path: str) -> ToolChoice:
    modes: dict[str, Literal["auto", "none", "required"]] = {
        "none": "none",
        "auto": "auto",
        "required": "required",
    }
    if value not in modes:
        raise one_of(path, value, tuple(modes))
    return ToolChoice(modes[value])


def _choice_object(fields: Fields, names: ToolNames, nested: bool) -> ToolChoice:
    kind = fields.needed_text("type")
    if kind != "allowed_tools":
        return ToolChoice("required", (_reference(kind, fields, names, nested),))
    place = fields.needed_object("allowed_tools") if nested else fields
    required = place.choice("mode", ("auto", "required")) == "required"
    allowed = []
    for path, item in place.array("tools"):
        reference = Fields(item, path)
        allowed.append(_reference(reference.needed_text("type"), reference, names, nested))
    place.close()
    fields.close()
    if not allowed:
        raise missing(place.at("tools"))
    return ToolChoice("required" if required else "auto", tuple(allowed))


def _reference(kind: str, fields: Fields, names: ToolNames, nested: bool) -> str:
    """The tool that an object of a choice names, by its full name or its namespace."""
    if kind == "function":
        place = fields.needed_object("function") if nested else fields
        name = place.name("name")
        place.close()
        full, known = _PREFIX + name, name in names.functions
    elif kind == "mcp":
        name = full = fields.needed_text("server_label")
        fields.take("name")
        known = full in names.builtin
    else:
        name = kind
        full = BUILT_IN_TYPES.get(kind, "")
        known = full in names.builtin
    fields.close()
    if not known:
        raise invalid(fields.path, f"the tool '{shortened(name)}' is not among the tools")
    return full
