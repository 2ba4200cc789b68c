"""What a message may hold: text, or the settings of a system or developer message."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field
from typing_extensions import Self

from harmony_py.chat.tools import ToolDescription, ToolNamespaceConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

FUNCTIONS = "functions"
"""The namespace of the tools that a developer defines."""


class ReasoningEffort(str, Enum):
    """How long the model thinks before it answers. Spelled in any case: `ReasoningEffort("high")`."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"

    @classmethod
    def _missing_(cls, value: object) -> ReasoningEffort | None:
        spelled = value.lower() if isinstance(value, str) else value
        for effort in cls:
            if effort.value.lower() == spelled:
                return effort
        raise ValueError(f"{value!r} is not a valid ReasoningEffort: expected low, medium or high")


class ChannelConfig(BaseModel):
    """The channels the assistant may write to, and whether every message must name one."""

    valid_channels: list[str]
    channel_required: bool

    @classmethod
    def require_channels(cls, channels: list[str]) -> ChannelConfig:
        return cls(valid_channels=channels, channel_required=True)


class ResponseFormat(BaseModel):
    """A JSON Schema that the final answer should follow. The model is told of it, not held to it."""

    name: str
    json_schema: dict[str, Any]
    description: str | None = None


class Content(BaseModel):
    """Base of everything that a message may hold."""

    def to_dict(self) -> dict[str, Any]:
        """Only the kinds of content have a form; of the base the reference raises this too."""
        raise NotImplementedError


class TextContent(Content):
    type: Literal["text"] = "text"
    text: str

    def to_dict(self) -> dict[str, Any]:
        return {"type": "text", "text": self.text}


class _Settings(Content):
    """Common to system and developer content: a fluent builder, and tools by namespace.

    The `with_` methods change the content itself and return it, so that they can be chained.
    """

    tools: dict[str, ToolNamespaceConfig] | None = None

    @classmethod
    def new(cls) -> Self:
        return cls()

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """The content whose `to_dict` is `raw`."""
        return cls(**raw)

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)

    def with_tools(self, ns_config: ToolNamespaceConfig) -> Self:
        """Add a namespace, in place of any with the same name."""
        if self.tools is None:
            self.tools = {}
        self.tools[ns_config.name] = ns_config
        return self


class SystemContent(_Settings):
    """Who the model is and how it shall work: identity, dates, reasoning effort, channels, built-in tools."""

    type: Literal["system_content"] = "system_content"
    model_identity: str | None = "You are ChatGPT, a large language model trained by OpenAI."
    reasoning_effort: ReasoningEffort | None = ReasoningEffort.MEDIUM
    conversation_start_date: str | None = None
    knowledge_cutoff: str | None = "2024-06"
    channel_config: ChannelConfig | None = Field(
        default_factory=lambda: ChannelConfig.require_channels(["analysis", "commentary", "final"])
    )

    def with_model_identity(self, model_identity: str) -> Self:
        self.model_identity = model_identity
        return self

    def with_reasoning_effort(self, reasoning_effort: ReasoningEffort | str) -> Self:
        self.reasoning_effort = ReasoningEffort(reasoning_effort)
        return self

    def with_conversation_start_date(self, conversation_start_date: str) -> Self:
        self.conversation_start_date = conversation_start_date
        return self

    def with_knowledge_cutoff(self, knowledge_cutoff: str) -> Self:
        self.knowledge_cutoff = knowledge_cutoff
        return self

    def with_channel_config(self, channel_config: ChannelConfig) -> Self:
        self.channel_config = channel_config
        return self

    def with_required_channels(self, channels: list[str]) -> Self:
        return self.with_channel_config(ChannelConfig.require_channels(channels))

    def with_browser_tool(self) -> Self:
        return self.with_tools(ToolNamespaceConfig.browser())

    def with_python_tool(self) -> Self:
        return self.with_tools(ToolNamespaceConfig.python())


class DeveloperContent(_Settings):
    """What the developer asks for: instructions, tools of their own, the form of the answer."""

    type: Literal["developer_content"] = "developer_content"
    instructions: str | None = None
    response_formats: list[ResponseFormat] | None = None

    def with_instructions(self, instructions: str) -> Self:
        self.instructions = instructions
        return self

    def with_function_tools(self, tools: Sequence[ToolDescription]) -> Self:
        """Set the tools of the namespace `functions`, in place of any set before."""
        return self.with_tools(ToolNamespaceConfig(name=FUNCTIONS, tools=list(tools)))

    def add_function_tools(self, tools: Sequence[ToolDescription]) -> Self:
        """Add to the tools of the namespace `functions`; a tool replaces its namesake."""
        namespace = (self.tools or {}).get(FUNCTIONS)
        by_name = {tool.name: tool for tool in [*(namespace.tools if namespace else []), *tools]}
        return self.with_function_tools(list(by_name.values()))

    def with_response_format(self, name: str, schema: dict[str, Any], description: str | None = None) -> Self:
        """Ask for answers that follow a JSON Schema, shown in a section `# Response Formats`."""
        added = ResponseFormat(name=name, json_schema=schema, description=description)
        self.response_formats = [*(self.response_formats or []), added]
        return self


AnyContent: TypeAlias = Annotated[TextContent | SystemContent | DeveloperContent, Field(discriminator="type")]
"""The content kinds there are, told apart by `type`: nothing is lost on the way through a dump."""
