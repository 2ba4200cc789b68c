"""What the harness asks of an implementation: the protocol of adapters, and the tuples that cross it.

Plain data only, so that an adapter can speak to anything: conversations are lists of messages in the flat
form of `Message.to_dict`, streams are lists of ids, and what was parsed comes back as `Fields`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FlatMessage: TypeAlias = "dict[str, Any]"
"""`{"role", "content", ...}` with "name", "channel", "recipient", "content_type" where they are set."""


class NotSupportedError(HarmonyError):
    """The implementation has no such feature: neither right nor wrong."""


class RefusedError(HarmonyError):
    """The implementation refuses this input, knowingly: the text is its reason."""


class Fields(NamedTuple):
    """A message without its identity: what the messages of any library have in common."""

    role: str
    name: str | None = None
    channel: str | None = None
    recipient: str | None = None
    content_type: str | None = None
    text: str = ""

    @classmethod
    def of(cls, message: Any) -> Fields:
        """From a mapping, from a message of this package or of `openai-harmony`'s, or from fields."""
        if isinstance(message, Fields):
            return message
        if isinstance(message, dict):
            return cls(**{key: value for key, value in message.items() if key in cls._fields})
        return cls(
            getattr(message.author.role, "value", message.author.role),
            message.author.name,
            message.channel,
            message.recipient,
            message.content_type,
            "".join(part.text for part in message.content),
        )

    def plain(self) -> dict[str, str]:
        """As a mapping without what is not set: the form of the vectors."""
        return {key: value for key, value in self._asdict().items() if value is not None}

    def flat(self) -> FlatMessage:
        """As a message in the flat form."""
        fields = self.plain()
        text = fields.pop("text")
        return {**fields, "content": [{"type": "text", "text": text}]}


class Reading(NamedTuple):
    """What an implementation makes of a stream."""

    messages: list[Fields]
    spans: list[tuple[int, int, str, int | None]] | None = None
    """Start, end, part and message of each run of tokens; None if the implementation does not tell."""
    diagnostics: list[tuple[str, int, tuple[int, int]]] | None = None
    """Code, token and span of each repair; None if the implementation does not tell."""

    @classmethod
    def of(cls, found: Any) -> Reading:
        """From a reading, or from a sequence of messages in any form that `Fields.of` takes."""
        return found if isinstance(found, Reading) else cls([Fields.of(message) for message in found])


class TokenStream:
    """A parser that is fed as tokens come."""

    def feed(self, tokens: Sequence[int]) -> str:
        """Takes some tokens and returns the text that they completed, of whichever message."""
        raise NotSupportedError("streaming")

    def finish(self) -> str:
        """Takes the end of the stream, and returns the text that was still held back."""
        raise NotSupportedError("streaming")

    def messages(self) -> Sequence[Any]:
        """The messages that are complete."""
        raise NotSupportedError("streaming")


class Implementation:
    """An implementation of the format, or of part of it. An adapter overrides what there is.

    Every method may raise `RefusedError` for input that is refused knowingly. Any other exception counts as
    a crash. What is not overridden is reported as not supported.
    """

    name = "unnamed"
    version = ""
    knows_tools = False
    """Whether `recover` makes use of the tools' names."""

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, in which nothing is a control token."""
        raise NotSupportedError("encode")

    def decode(self, tokens: list[int]) -> str:
        """The text of `tokens`, control tokens spelled out."""
        raise NotSupportedError("decode")

    def render(
        self, conversation: list[FlatMessage], *, next_role: str | None = None, training: bool = False
    ) -> list[int]:
        """The ids of a conversation; with `next_role` a prompt, with `training` a sample to train on."""
        raise NotSupportedError("render")

    def parse(self, tokens: list[int], role: str | None) -> Any:
        """A `Reading`, or messages, of a stream; what is malformed may be refused."""
        raise NotSupportedError("parse")

    def recover(self, tokens: list[int], role: str | None, tools: Sequence[str] = ()) -> Any:
        """The same where nothing should be refused: the most likely meaning of a malformed stream."""
        raise NotSupportedError("recover")

    def stream(self, role: str | None, *, recovers: bool = False) -> TokenStream:
        """A parser to be fed, one that refuses or one that `recovers`."""
        raise NotSupportedError("stream")

    def resume(self, prompt: list[int], tokens: list[int]) -> Any:
        """The messages of a completion whose first one `prompt` has begun, be it header or content."""
        raise NotSupportedError("resume")

    def rerender(self, tokens: list[int], role: str | None) -> list[int]:
        """The stream parsed, and its messages rendered as one conversation again."""
        raise NotSupportedError("rerender")

    def reload(self, conversation: list[FlatMessage]) -> list[FlatMessage]:
        """The conversation after being dumped and read again in every way that its classes offer."""
        raise NotSupportedError("reload")

    def parse_text(self, text: str, role: str | None, markers: str) -> Any:
        """The messages of text whose control tokens are `"spelled"` or were `"stripped"`."""
        raise NotSupportedError("parse_text")

    def arguments(self, text: str, only_parameter: str | None = None) -> Mapping[str, Any]:
        """The object that a call's text most likely passes, repaired if need be."""
        raise NotSupportedError("arguments")


CAPABILITIES = [name for name, value in vars(Implementation).items() if callable(value)]


def adapt(thing: Any) -> Implementation:
    """`thing` as an implementation: any object that has some of its methods will do."""
    if isinstance(thing, Implementation):
        return thing
    adapted = Implementation()
    found = [name for name in CAPABILITIES if callable(getattr(thing, name, None))]
    if not found:
        raise TypeError(f"{thing!r} has none of the methods {', '.join(CAPABILITIES)}")
    for name in [*found, "name", "version", "knows_tools"]:
        if hasattr(thing, name):
            setattr(adapted, name, getattr(thing, name))
    return adapted
