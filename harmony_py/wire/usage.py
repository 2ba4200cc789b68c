"""Counting tokens, as the two APIs tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from harmony_py.wire.tools import NO_TOOLS
from harmony_py.wire.turn import Kind, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py.chat import Message
    from harmony_py.format.events import Span
    from harmony_py.wire.fields import Fields


class Parsed(Protocol):
    """A `ParseResult`, or a `StreamableParser` that has been through its stream."""

    @property
    def messages(self) -> Sequence[Message]: ...
    @property
    def spans(self) -> Sequence[Span]: ...


class Usage(NamedTuple):
    """How many tokens a request took."""

    prompt: int
    sampled: int
    reasoning: int
    """Of those sampled, the text of thoughts."""
    cached: int = 0
    """Of the prompt, what the engine had seen before."""

    @classmethod
    def of(cls, prompt: int, parsed: Parsed, *, cached: int = 0) -> Usage:
        """The usage of one completion, each of whose tokens counts once."""
        spans = parsed.spans
        thoughts = {i for i, each in enumerate(parsed.messages) if kind_of(each, NO_TOOLS) is Kind.REASONING}
        reasoning = sum(s.end - s.start for s in spans if s.part == "content" and s.message in thoughts)
        return cls(prompt, spans[-1].end if spans else 0, reasoning, cached)

    @classmethod
    def read(cls, usage: Fields | None, prompt: str, sampled: str) -> Usage | None:
        """What a server says, whose API calls the two numbers so."""
        if usage is None:
            return None
        cached, thoughts = usage.object(f"{prompt}_details"), usage.object(f"{sampled}_details")
        return cls(
            usage.count(prompt),
            usage.count(sampled),
            thoughts.count("reasoning_tokens") if thoughts else 0,
            cached.count("cached_tokens") if cached else 0,
        )

    def plus(self, other: Usage) -> Usage:
        """With another completion of the same prompt."""
        return self._replace(sampled=self.sampled + other.sampled, reasoning=self.reasoning + other.reasoning)

    def for_chat(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.sampled,
            "total_tokens": self.prompt + self.sampled,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }

    def for_responses(self) -> dict[str, Any]:
        return {
            "input_tokens": self.prompt,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.sampled,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.prompt + self.sampled,
        }
