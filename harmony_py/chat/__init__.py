"""What a conversation is: messages, their contents, tools. Knows no tokens."""

from harmony_py.chat.content import (
    ChannelConfig,
    Content,
    DeveloperContent,
    ReasoningEffort,
    ResponseFormat,
    SystemContent,
    TextContent,
)
from harmony_py.chat.messages import Author, Conversation, HeaderStyle, Message, MessageSource, Role
from harmony_py.chat.tools import ToolDescription, ToolNamespaceConfig

__all__ = [
    "Author",
    "ChannelConfig",
    "Content",
    "Conversation",
    "DeveloperContent",
    "HeaderStyle",
    "Message",
    "MessageSource",
    "ReasoningEffort",
    "ResponseFormat",
    "Role",
    "SystemContent",
    "TextContent",
    "ToolDescription",
    "ToolNamespaceConfig",
]
