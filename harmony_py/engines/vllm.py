"""vLLM with our parser and renderer, switched on by `HARMONY_PY_VLLM=1`.

vLLM gives models of type `gpt_oss` a parser that no flag replaces. What it is made of can be: the methods
that turn tokens into segments, and the function that renders a conversation. `plugin` is the entry point in
the group `vllm.general_plugins`, which vLLM calls in each of its processes.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.chat import Message, Role
from harmony_py.errors import EngineError, RenderError
from harmony_py.format.config import RenderConfig
from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.events import ContentDelta, MessageEnd, MessageStart
from harmony_py.format.grammar import CHANNELS
from harmony_py.format.parse import StreamableParser
from harmony_py.tokenizer.special import START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import ModuleType

VARIABLE: Final = "HARMONY_PY_VLLM"
"""The environment variable that switches us on."""

TESTED: Final = ("0.33",)
"""The series of vLLM that this is tested with. What we replace is private and may change with any other."""

RENDERING: Final = RenderConfig(analysis="never", schema_style="upstream")
"""As vLLM renders, token for token, but for the headers of tools' results, which it writes with the recipient
behind the channel. Reference and chat template have it before. Which thoughts go is left to vLLM."""

_PARSER: Final = "vllm.parser.harmony"
_UTILITIES: Final = "vllm.entrypoints.openai.parser.harmony_utils"

_NEEDED: Final = (
    (_PARSER, "Segment"),
    (_PARSER, "ChunkResult"),
    (_PARSER, "Message"),
    (_UTILITIES, "auto_drop_analysis_messages"),
)
"""What ours makes use of."""

logger = logging.getLogger("vllm.harmony_py")


class _Swap(NamedTuple):
    owner: Any
    name: str
    theirs: Any
    ours: Any


_swapped: list[_Swap] = []


def plugin() -> None:
    """What vLLM calls. Does nothing unless `HARMONY_PY_VLLM` is 1; raises if it cannot do what it says."""
    if os.environ.get(VARIABLE) == "1":
        patch()


def patch() -> None:
    """Put our parser and renderer into vLLM, in this process. Done twice it does no more.

    `EngineError` where vLLM is another than those in `TESTED`, or lacks what we replace; nothing is changed
    then.
    """
    if _swapped:
        return
    version = _version()
    try:
        parser, utilities = importlib.import_module(_PARSER), importlib.import_module(_UTILITIES)
        for module, name in _NEEDED:
            getattr(sys.modules[module], name)
        swaps = [*_methods(parser), *_functions(utilities)]
    except (ImportError, AttributeError) as error:
        raise EngineError(f"vllm {version}", f"cannot be patched: {error}") from error
    for swap in swaps:
        setattr(swap.owner, swap.name, swap.ours)
    _swapped.extend(swaps)
    names = ", ".join(f"{getattr(swap.owner, '__name__', swap.owner)}.{swap.name}" for swap in swaps)
    logger.info("harmony_py parses and renders for vLLM %s in place of %s", version, names)


def unpatch() -> None:
    """Undo `patch`, also in modules that have imported what is ours since."""
    for owner, name, theirs, ours in _swapped:
        setattr(owner, name, theirs)
        for module in _holding(name, ours):
            setattr(module, name, theirs)
    if _swapped:
        logger.info("vLLM's own parser and renderer are back")
    _swapped.clear()


def _version() -> str:
    version = str(importlib.import_module("vllm").__version__)
    if not any(version == series or version.startswith(f"{series}.") for series in TESTED):
        tested = ", ".join(f"{series}.*" for series in TESTED)
        raise EngineError(f"vllm {version}", f"tested is {tested}; unset {VARIABLE} to go on without us")
    return version


def _methods(parser: ModuleType) -> list[_Swap]:
    cls = parser.HarmonyParser
    ours = (process_chunk, flush, count_reasoning_tokens)
    return [_Swap(cls, method.__name__, getattr(cls, method.__name__), method) for method in ours]


def _functions(utilities: ModuleType) -> list[_Swap]:
    ours: dict[str, Callable[..., Any]] = {
        "get_streamable_parser_for_assistant": assistant_parser,
        "render_for_completion": render_for_completion,
    }
    swaps = []
    for name, function in ours.items():
        theirs = getattr(utilities, name)
        swaps += [_Swap(module, name, theirs, function) for module in _holding(name, theirs)]
    return swaps


def _holding(name: str, value: object) -> list[ModuleType]:
    """The modules of vLLM in which `name` is `value`: where it was defined, and where it was imported."""
    modules = [module for key, module in list(sys.modules.items()) if key.partition(".")[0] == "vllm"]
    return [module for module in modules if vars(module).get(name) is value]


# -- rendering -----------------------------------------------------------------------------------------------


def render_for_completion(messages: Iterable[Any]) -> list[int]:
    """The prompt for the assistant's next message, from messages of vLLM's own harmony package.

    What cannot be written down is the client's mistake, and is told as vLLM tells those.
    """
    kept = sys.modules[_UTILITIES].auto_drop_analysis_messages(list(messages))
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
    return sys.modules[_PARSER].ChunkResult(segments=segments, reasoning_token_count=thought)


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
    module = sys.modules[_PARSER]
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
