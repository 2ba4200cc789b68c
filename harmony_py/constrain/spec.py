"""What a turn may hold: which tools, what kind of answer, how much thinking."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from harmony_py.chat import Message, Role, ToolDescription, ToolNamespaceConfig
from harmony_py.constrain.schema import arguments_text, schema_text
from harmony_py.constrain.shape import AnyText, JsonText, RegexText
from harmony_py.errors import ConstraintError, RenderError
from harmony_py.format.validate import Guard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harmony_py.chat import HeaderStyle
    from harmony_py.constrain.shape import Shape

FUNCTIONS: Final = "functions"
"""The namespace of tools that were given without one."""

BOTH: Final[tuple[HeaderStyle, ...]] = ("role_first", "channel_first")
"""Where the recipient stands: before the channel marker, or behind the channel. Models write both."""

MOST_TOOLS: Final = 512
LONGEST_TOGETHER: Final = 2_097_152
"""Characters of all the tools' schemas."""

LONGEST_PATTERN: Final = 16_384

Reasoning: TypeAlias = Literal["required", "optional", "forbidden"]


@dataclass(frozen=True)
class Text:
    """The answer is any text."""


@dataclass(frozen=True)
class JsonSchema:
    """The answer is JSON that fits `schema`."""

    schema: Mapping[str, Any] | bool


@dataclass(frozen=True)
class Regex:
    """The answer matches `pattern` as a whole. Rust's `regex` says how it is written; no lookaround."""

    pattern: str


@dataclass(frozen=True)
class Named:
    """The turn ends in a call of this function: `f`, or with its namespace `functions.f`."""

    name: str


class Callee(NamedTuple):
    """A tool as a header calls it, and what may stand in the call."""

    recipient: str
    channels: tuple[str, ...]
    content_types: tuple[str, ...]
    """The words that models put before `<|message|>`; those in `<|constrain|>` come besides."""
    body: Shape


@dataclass(frozen=True)
class TurnSpec:
    """What one turn of the assistant may hold. `ConstraintError` names the field that makes no sense.

    `tools` may be called on the `commentary` channel; tools without a namespace are called `functions.f`.
    `builtin_tools`, `"python"` and `"browser"`, may be called on `analysis` too. A turn holds at most one
    call and ends with it: that is how the models work. `preamble` allows words for the user before that.
    """

    tools: Sequence[ToolDescription | ToolNamespaceConfig] = ()
    tool_choice: Literal["auto", "none", "required"] | Named = "auto"
    final: Text | JsonSchema | Regex = field(default_factory=Text)
    reasoning: Reasoning = "optional"
    preamble: bool = True
    max_analysis_tokens: int | None = None
    """Tokens of thought in the turn; a grammar cannot count, so that only a `Mask` keeps to it."""
    header_styles: tuple[HeaderStyle, ...] = BOTH
    builtin_tools: tuple[Literal["python", "browser"], ...] = ()
    callees: tuple[Callee, ...] = field(init=False, repr=False, compare=False)
    """The tools that may be called, as `tool_choice` has it."""
    answer: Shape | None = field(init=False, repr=False, compare=False)
    """What the answer may be; None where the turn has to end in a call."""

    def __post_init__(self) -> None:
        _one_of(self.reasoning, ("required", "optional", "forbidden"), "reasoning")
        if not self.header_styles:
            raise ConstraintError(f"at least one of {BOTH}", "header_styles")
        for style in self.header_styles:
            _one_of(style, BOTH, "header_styles")
        budget = self.max_analysis_tokens
        if budget is not None and (not isinstance(budget, int) or isinstance(budget, bool) or budget < 0):
            raise ConstraintError(
                f"expected a number of tokens or None, not {budget!r}", "max_analysis_tokens"
            )
        object.__setattr__(self, "tools", tuple(self.tools))
        object.__setattr__(self, "callees", self._chosen(tuple(self._callees())))
        must_call = isinstance(self.tool_choice, Named) or self.tool_choice == "required"
        object.__setattr__(self, "answer", None if must_call else _answer(self.final))

    def _callees(self) -> Iterator[Callee]:
        seen = set[str]()
        together = 0
        for tool in itertools.chain(self._functions(), self._builtins()):
            if tool.recipient in seen:
                raise ConstraintError(f"{tool.recipient!r} is there twice", "tools")
            seen.add(tool.recipient)
            if len(seen) > MOST_TOOLS:
                raise ConstraintError(f"more than {MOST_TOOLS} tools", "tools")
            together += len(tool.body.schema) if isinstance(tool.body, JsonText) else 0
            if together > LONGEST_TOGETHER:
                raise ConstraintError(
                    f"schemas of more than {LONGEST_TOGETHER:,} characters together", "tools"
                )
            yield tool

    def _functions(self) -> Iterator[Callee]:
        for i, tool in enumerate(self.tools):
            if isinstance(tool, ToolNamespaceConfig):
                yield from _namespace(tool, ("commentary",), ("json",), f"tools[{i}]")
            elif isinstance(tool, ToolDescription):
                yield _function(f"{FUNCTIONS}.{tool.name}", tool, ("commentary",), ("json",), f"tools[{i}]")
            else:
                raise ConstraintError(f"expected a tool, not {type(tool).__name__}", f"tools[{i}]")

    def _builtins(self) -> Iterator[Callee]:
        for name in self.builtin_tools:
            _one_of(name, ("python", "browser"), "builtin_tools")
            channels = ("analysis", "commentary")
            if name == "python":
                yield Callee("python", channels, ("code",), AnyText())
            else:
                yield from _namespace(
                    ToolNamespaceConfig.browser(), channels, ("json", "code"), "builtin_tools"
                )

    def _chosen(self, tools: tuple[Callee, ...]) -> tuple[Callee, ...]:
        choice = self.tool_choice
        if isinstance(choice, Named):
            wanted = (choice.name, f"{FUNCTIONS}.{choice.name}")
            chosen = tuple(tool for tool in tools if tool.recipient in wanted)
            if len(chosen) != 1:
                there = ", ".join(tool.recipient for tool in tools[:10]) or "none"
                raise ConstraintError(f"no tool is called {choice.name!r}; there are: {there}", "tool_choice")
            return chosen
        _one_of(choice, ("auto", "none", "required"), "tool_choice")
        if choice == "required" and not tools:
            raise ConstraintError("a call is required, and there are no tools", "tool_choice")
        return () if choice == "none" else tools


def _one_of(value: object, choices: Sequence[str], where: str) -> None:
    if value not in choices:
        raise ConstraintError(f"expected one of {', '.join(choices)}, not {value!r}", where)


def _namespace(
    namespace: ToolNamespaceConfig, channels: tuple[str, ...], content_types: tuple[str, ...], where: str
) -> Iterator[Callee]:
    if not namespace.tools:
        raise ConstraintError(f"the namespace {namespace.name!r} has no tools that could be called", where)
    for i, tool in enumerate(namespace.tools):
        yield _function(f"{namespace.name}.{tool.name}", tool, channels, content_types, f"{where}.tools[{i}]")


def _function(
    recipient: str,
    tool: ToolDescription,
    channels: tuple[str, ...],
    content_types: tuple[str, ...],
    where: str,
) -> Callee:
    _check_name(recipient, where)
    schema = arguments_text(tool.parameters, f"{where}.parameters ({recipient})")
    return Callee(recipient, channels, content_types, JsonText(schema))


def _check_name(recipient: str, where: str) -> None:
    """A name comes from strangers: it must read back as one word, and as nothing else."""
    if not all(recipient.partition(".")):
        raise ConstraintError("a tool and its namespace have names, and they are not empty", f"{where}.name")
    call = Message.from_role_and_content(Role.ASSISTANT, "").with_recipient(recipient)
    try:
        Guard("raise").header(call, "role_first")
    except RenderError as error:
        raise ConstraintError(error.reason, f"{where}.name") from None


def _answer(final: Text | JsonSchema | Regex) -> Shape:
    match final:
        case Text():
            return AnyText()
        case JsonSchema(schema):
            return JsonText(schema_text(schema, "final.schema"))
        case Regex(pattern):
            if not isinstance(pattern, str):
                raise ConstraintError(
                    f"expected a regular expression, not {type(pattern).__name__}", "final.pattern"
                )
            if len(pattern) > LONGEST_PATTERN:
                raise ConstraintError(f"longer than {LONGEST_PATTERN:,} characters", "final.pattern")
            return RegexText(pattern)
    raise ConstraintError(f"expected Text, JsonSchema or Regex, not {type(final).__name__}", "final")
