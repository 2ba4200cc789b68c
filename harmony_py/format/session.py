"""Many turns, token for token: what the model sampled stays as it sampled it.

An engine keeps its cache for as long as each prompt begins with the tokens it has seen. Rendering a parsed
message anew may change them: there are many ways to write the same text in tokens, and a model does not
always take the shortest.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from harmony_py.chat import MessageSource, Role
from harmony_py.format.decode import scan
from harmony_py.format.message import end_in_prompt
from harmony_py.format.parse import parse
from harmony_py.tokenizer import prefix
from harmony_py.tokenizer.special import RETURN, STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harmony_py.chat import Message
    from harmony_py.format.config import RenderConfig
    from harmony_py.format.encoding import HarmonyEncoding
    from harmony_py.format.parse import ParseResult


class Break(NamedTuple):
    """Where a prompt departs from what the engine has seen: the last prompt, and what it sampled then."""

    token_index: int
    """Of the first token that differs."""
    message_index: int
    """Of the message that the token belonged to."""
    dropped: tuple[int, ...]
    """Messages that the engine has seen and that are left out now; none if a message was changed."""


class Prompt(NamedTuple):
    tokens: list[int]
    shared: int
    """How many of its first tokens are the last prompt's."""
    reusable: int
    """How many of its first tokens an engine has seen: the last prompt's and those sampled after it."""
    broken: Break | None
    """Set if it is fewer than there could be."""


class Session:
    """A conversation that grows: messages are appended, answers are kept with the model's own ids."""

    def __init__(
        self,
        encoding: HarmonyEncoding,
        messages: Iterable[Message] = (),
        config: RenderConfig | None = None,
    ) -> None:
        self._renderer = encoding.renderer(config)
        self._messages = list(messages)
        self._sampled: dict[int, list[int]] = {}
        self._next_role = Role.ASSISTANT
        # What the engine has seen: the last prompt and what it sampled, and where in them each message began.
        self._seen: list[int] = []
        self._starts: list[tuple[int, int]] = []
        # So much of it is the last prompt, and so much belongs into every prompt to come.
        self._prompt_length = self._lasting = 0

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    def append(self, message: Message) -> None:
        """Add a message that did not come from the model."""
        self._messages.append(message)

    def extend_sampled(self, ids: Sequence[int], *, tools: Iterable[str] | None = None) -> ParseResult:
        """Add what the model sampled after the last prompt, and return it parsed.

        The messages keep the ids as they are, malformed ones too, until somebody changes them. What no later
        prompt can hold is left out there: `<|return|>`, which becomes `<|end|>`, and at the end whatever is
        no message, such as a header cut short, the result's `pending`.
        """
        ids, _ = scan(ids, any_size=True)
        result = parse(ids, self._next_role, policy="recover", tools=tools)
        prompt = self._renderer.prompts[self._next_role]
        for message, (start, end) in zip(result.messages, _bounds(result), strict=True):
            own = [*([] if start else prompt), *ids[start:end]]
            index = len(self._messages)
            self._messages.append(message)
            self._sampled[index] = own
            self._starts += [(len(self._seen) + start, index)] if start else []
            self._lasting = len(self._seen) + end - (own[-1] == RETURN)
            style = message.source.header_style if message.source else "role_first"
            terminator = own[-1] if own[-1] in STOP_TOKENS else None
            message.attach_source(MessageSource(tuple(own), start, style, terminator, terminator is not None))
        if result.messages:
            end_in_prompt(self._sampled[len(self._messages) - 1], result.messages[-1])
        self._seen += ids
        return result

    def prompt(self, next_turn_role: Role = Role.ASSISTANT) -> Prompt:
        """The prompt for the next message, and how much of it is old."""
        kept = self._renderer.kept(self._messages)
        tokens: list[int] = []
        starts = []
        for index, message, entry in zip(*kept, strict=True):
            starts.append((len(tokens), index))
            tokens += self._sampled_ids(index, message) or entry.tokens
        starts.append((len(tokens), len(self._messages)))
        tokens += self._renderer.prompts[next_turn_role]

        reusable = prefix.shared(self._seen, tokens)
        broken = None
        if reusable < self._lasting:
            message_index = next(index for start, index in reversed(self._starts) if start <= reusable)
            still_there = {index for _, index in starts}
            gone = tuple(index for _, index in self._starts if index not in still_there)
            broken = Break(reusable, message_index, gone)
        shared = min(reusable, self._prompt_length)
        self._seen, self._starts, self._next_role = tokens.copy(), starts, next_turn_role
        self._prompt_length = self._lasting = len(tokens)
        return Prompt(tokens, shared, reusable, broken)

    def _sampled_ids(self, index: int, message: Message) -> list[int] | None:
        """The ids of a message that the model wrote and nobody changed."""
        return self._sampled.get(index) if message.source else None


def _bounds(result: ParseResult) -> list[tuple[int, int]]:
    """Where each message begins and ends; noise counts to the message before it, if any, else after it."""
    own = [span for span in result.spans if span.message is not None]
    if not own:
        return []
    begun = [span.start for before, span in itertools.pairwise(own) if span.message != before.message]
    return list(zip([0, *begun], [*begun, own[-1].end], strict=True))
