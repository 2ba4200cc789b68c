"""The harmony chat format of gpt-oss, from conversation to tokens and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.errors import HarmonyError, ParseError, RenderError, VocabularyError
from harmony_py.lazy import lazily
from harmony_py.tokenizer import Tokenizer

if TYPE_CHECKING:
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
    from harmony_py.format.config import RenderConfig
    from harmony_py.format.encoding import HarmonyEncoding, load_harmony_encoding
    from harmony_py.format.parse import ParseResult, StreamableParser, parse
    from harmony_py.format.render import Rendered
    from harmony_py.format.session import Session
    from harmony_py.version import __version__

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
    "__version__",
    "load_harmony_encoding",
    "parse",
]

# Imported at first use: all of these need pydantic, which takes far longer to import than the tokenizer
# takes to load. Who only counts tokens does not wait for it.
_HOMES = {
    **dict.fromkeys(__all__, "chat"),
    "HarmonyEncoding": "format.encoding",
    "ParseResult": "format.parse",
    "RenderConfig": "format.config",
    "Rendered": "format.render",
    "Session": "format.session",
    "StreamableParser": "format.parse",
    "__version__": "version",
    "load_harmony_encoding": "format.encoding",
    "parse": "format.parse",
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
