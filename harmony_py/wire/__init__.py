"""OpenAI's JSON <-> conversations and event streams, as plain dicts: Chat Completions and Responses."""

from harmony_py.wire.options import Format, Options
from harmony_py.wire.tools import Function, ToolChoice, ToolNames
from harmony_py.wire.turn import Stop, Turn
from harmony_py.wire.usage import Usage

__all__ = ["Format", "Function", "Options", "Stop", "ToolChoice", "ToolNames", "Turn", "Usage"]
