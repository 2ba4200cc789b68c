"""The harmony chat format of gpt-oss, from conversation to tokens and back."""

from harmony_py.chat import (
    Author,
    ChannelConfig,
    Conversation,
    DeveloperContent,
    Message,
    ReasoningEffort,
    Role,
    SystemContent,
    TextContent,
    ToolDescription,
    ToolNamespaceConfig,
)
from harmony_py.errors import HarmonyError, ParseError, RenderError, VocabularyError
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import HarmonyEncoding, load_harmony_encoding
from harmony_py.format.parse import ParseResult, StreamableParser, parse
from harmony_py.format.render import Rendered
from harmony_py.format.session import Session
from harmony_py.tokenizer import Tokenizer

__all__ = [
    "Author",
    "ChannelConfig",
    "Conversation",
    "DeveloperContent",
    "HarmonyEncoding",
    "HarmonyError",
    "Message",
    "ParseError",
    "ParseResult",
    "ReasoningEffort",
    "RenderConfig",
    "RenderError",
    "Rendered",
    "Role",
    "Session",
    "StreamableParser",
    "SystemContent",
    "TextContent",
    "Tokenizer",
    "ToolDescription",
    "ToolNamespaceConfig",
    "VocabularyError",
    "load_harmony_encoding",
    "parse",
]
