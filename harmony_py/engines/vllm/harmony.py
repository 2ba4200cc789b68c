"""What is put into vLLM: its parser's methods, and the function that renders a conversation."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat import Message, Role
from harmony_py.errors import RenderError
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.format.grammar import CHANNELS
from harmony_py.format.parse import StreamableParser
from harmony_py.tokenizer.special import START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PARSER: Final = "vllm.parser.harmony"
UTILITIES: Final = "vllm.entrypoints.openai.parser.harmony_utils"

RENDERING: Final = RenderConfig(analysis="never", schema_style="upstream")
"""As vLLM renders, token for token, but for the headers of tools' results, which it writes with the recipient
behind the channel. Reference and chat template have it before. Which thoughts go is left to vLLM."""


# -- rendering -----------------------------------------------------------------------------------------------


def render_for_completion(messages: Iterable[Any]) -> list[int]:
    """The prompt for the assistant's next message, from messages of vLLM's own harmony package.

    What cannot be written down is the client's mistake, and is told as vLLM tells those.
    """
    kept = sys.modules[UTILITIES].auto_drop_analysis_messages(list(messages))
    ours = [Message.from_dict(message.to_dict()) for message in kept]
    try:
        return load_harmony_encoding().render_conversation_for_completion(ours, config=RENDERING)
    except RenderError as error:
        refused = importlib.import_module("vllm.exceptions").VLLMValidationError
        raise refused(str(error), parameter="messages") from error


# -- parsing -------------------------------------------------------------------------------------------------


def assistant_parser() -> StreamableParser:
    """A parser that loses nothing, for what the assistant writes."""
    return StreamableParser(None, Role.ASSISTANT, policy="recover", sources=False)


# These three become methods of vLLM's `HarmonyParser`: `host` is its instance, whose counters they keep.


def process_chunk(host: Any, token_ids: Sequence[int]) -> Any:
    """The segments that `token_ids` bring about, and how many of them are thought."""
    parser: StreamableParser = host._harmony_parser
    segments: list[Any] = []
    thought = 0
    for token in token_ids:
        segments += _segments(parser, token)
        thought += _is_thought(parser, token)
    host._num_counted_tokens += len(token_ids)
    host._num_reasoning_tokens += thought
    return sys.modules[PARSER].ChunkResult(segments=segments, reasoning_token_count=thought)


def flush(host: Any) -> list[Any]:
    """The segments that the end of the turn brings about. The next turn begins anew."""
    segments = _segments(host._harmony_parser, None)
    host._parser = None
    host._num_processed_messages = 0
    host._current_message_tokens.clear()
    return segments


def count_reasoning_tokens(host: Any, token_ids: Sequence[int]) -> int:
    """How many of `token_ids` are thought."""
    if len(token_ids) == host._num_counted_tokens:
        return int(host._num_reasoning_tokens)
    parser = assistant_parser()
    return sum(_is_thought(parser.process(token), token) for token in token_ids)


def _segments(parser: StreamableParser, token: int | None) -> list[Any]:
    """What one token, or the end, brings about: in order, and however many messages it closes."""
    module = sys.modules[PARSER]
    address = _address(parser.current_role, parser.current_channel, parser.current_recipient)
    segments = []
    for event in parser.finish() if token is None else parser.feed(token):
        if isinstance(event, ContentDelta):
            segments.append(module.Segment(*address, event.text))
        elif isinstance(event, MessageStart):
            header = event.header
            address = _address(header.role, header.channel, header.recipient)
            segments.append(module.Segment(*address, ""))
        elif isinstance(event, MessageEnd):
            message = module.Message.from_dict(event.message.to_dict())
            message.channel = address[0]
            segments.append(module.Segment(*address, "", message))
    return segments


def _is_thought(parser: StreamableParser, token: int) -> bool:
    """Whether `token`, the last one taken, counts as reasoning: calls to tools do."""
    if token >= START_OF_TEXT:
        return False
    channel = parser.current_channel
    return channel == "analysis" or (channel == "commentary" and parser.current_recipient is not None)


def _address(role: Role | None, channel: str | None, recipient: str | None) -> tuple[str | None, str | None]:
    """Channel and recipient as vLLM goes by them. It drops what is on no channel that it knows, so what the
    assistant says to everyone there is on the final one."""
    if role is Role.ASSISTANT and recipient is None and channel not in CHANNELS:
        return "final", None
    return channel, recipient
