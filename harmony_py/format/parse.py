"""Tokens to messages: all at once with `parse`, as they come with `StreamableParser`."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from harmony_py.chat.messages import Role
from harmony_py.format.decode import FIRST_CONTROL, scan
from harmony_py.format.events import ContentDelta
from harmony_py.format.grammar import TABLE, State, StreamState
from harmony_py.format.header import Header, HeaderError, read
from harmony_py.format.machine import Machine, Policy
from harmony_py.format.recover import Recover
from harmony_py.format.strict import Strict
from harmony_py.tokenizer.special import START

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

    from harmony_py.chat.messages import Message
    from harmony_py.format.events import Diagnostic, Event, Span

PolicyName = Literal["strict", "recover"]

_POLICIES: dict[str, Policy] = {"strict": Strict(), "recover": Recover()}


class Pending(NamedTuple):
    """A header that the stream leaves open: the end of a prompt, or of a completion cut short."""

    start: int
    """Index of its first token."""
    tokens: tuple[int, ...]
    header: Header | None
    """What it says so far; None if it makes no sense yet."""


class ParseResult(NamedTuple):
    messages: list[Message]
    spans: list[Span]
    """What each token is. Together they are exactly the tokens, none left out, none twice."""
    diagnostics: list[Diagnostic]
    pending: Pending | None


def parse(
    tokens: Iterable[int],
    role: Role | str | None = None,
    *,
    policy: PolicyName = "strict",
    tools: Iterable[str] | None = None,
) -> ParseResult:
    """The messages in `tokens`, which continue a prompt that ended in `role` or, without one, begin anew.

    `"strict"` raises `ParseError` on anything malformed. `"recover"` never raises and loses no token: every
    repair is one of the diagnostics, and on a well-formed stream the result is that of `"strict"`. A last
    message without a terminator counts as a message; its source says that it is not complete. With `tools`,
    the full names of the tools there are (`functions.f`), `"recover"` also corrects recipients.
    """
    machine = _Settings.of(role, policy, tools).machine()
    machine.feed(tokens)
    machine.finish()
    return ParseResult(machine.messages(), machine.spans(), machine.diagnostics, _pending(machine))


class StreamableParser:
    """`parse` for tokens that come one or some at a time.

    Two ways to read it, each at a cost that does not grow with what has been parsed: `feed` returns what is
    new as events; `process` takes one token, after which the `openai-harmony` properties tell the state.
    `encoding` is there for `openai-harmony`'s signature; there is one vocabulary, so it is not looked at.
    """

    __slots__ = ("_delta", "_machine", "_settings", "_snapshot")

    def __init__(
        self,
        encoding: object,
        role: Role | str | None = None,
        *,
        strict: bool = True,
        policy: PolicyName | None = None,
        tools: Iterable[str] | None = None,
        sources: bool = True,
    ) -> None:
        """See `parse`. Without `sources`, messages do not remember their tokens."""
        if isinstance(encoding, str):
            raise TypeError(f"encoding: expected one, or None, and then the role; found {encoding!r}")
        self._settings = _Settings.of(role, policy or ("strict" if strict else "recover"), tools, sources)
        self.reset()

    @classmethod
    def from_prompt(
        cls,
        encoding: object,
        prompt: Iterable[int],
        *,
        strict: bool = True,
        policy: PolicyName | None = None,
        tools: Iterable[str] | None = None,
    ) -> Self:
        """A parser in the midst of the message that `prompt` leaves open, be it in its header or its content.

        A prompt that holds no `<|start|>` is what follows one and the assistant's role. Messages that are
        complete in the prompt are not reported.
        """
        ids, _ = scan(prompt, any_size=True)
        begin = next((i for i in range(len(ids) - 1, -1, -1) if ids[i] == START), None)
        role = Role.ASSISTANT if begin is None else None
        parser = cls(encoding, role, strict=strict, policy=policy, tools=tools)
        parser._take(ids[begin or 0 :])
        parser._machine.completes = True
        # What the prompt says already is part of the message, but no news.
        parser._delta = None
        return parser

    def reset(self) -> Self:
        """Begin anew, as the parser was made."""
        self._machine = self._settings.machine()
        self._snapshot: list[Message] = []
        self._delta: str | None = None
        return self

    def copy(self) -> Self:
        """Another parser at the same point of the same stream. The messages are the same objects."""
        other = type(self).__new__(type(self))
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other._machine = self._machine.copy()
        return other

    __copy__ = copy

    # -- tokens in -----------------------------------------------------------------------------------------

    def process(self, token: int) -> Self:
        """Take one token. `ParseError` under `strict`, and only there."""
        machine = self._machine
        if machine.flowing and token.__class__ is int and 0 <= token < FIRST_CONTROL:
            machine.tokens.append(token)
            self._delta = machine.content.take(token)
        else:
            self._take([index(token)])
        return self

    def process_eos(self) -> Self:
        """Take the end of the stream, which ends an open message. Done twice it does no more."""
        self._machine.finish()
        return self

    def feed(self, tokens: Iterable[int] | int) -> list[Event]:
        """Take one token or many, and return what they brought about.

        However a stream is cut into calls, the events are the same, but for where the deltas are cut.
        """
        machine = self._machine
        if isinstance(tokens, int):
            ids, plain = [tokens], 0 <= tokens < FIRST_CONTROL
        elif getattr(tokens, "ndim", None) == 0:
            return self.feed(index(tokens))  # type: ignore[arg-type]  # an element of an array or a tensor
        else:
            ids, controls = scan(tokens, any_size=machine.policy.any_id)
            plain = not controls
        if not (plain and machine.flowing):
            return self._watch(ids)
        # Most of a stream is text inside content: nothing to decide.
        machine.tokens += ids
        content = machine.content
        text = content.take(ids[0]) if len(ids) == 1 else content.advance(machine.tokens, len(machine.tokens))
        self._delta = text or None
        return [ContentDelta(len(machine.records), text)] if text else []

    def finish(self) -> list[Event]:
        """`process_eos` for who reads events."""
        return self._watch(None)

    def _watch(self, tokens: Iterable[int] | None) -> list[Event]:
        """The events that some tokens, or the end of the stream, bring about."""
        machine = self._machine
        events: list[Event] = []
        machine.events = events
        try:
            if tokens is None:
                machine.finish()
            else:
                machine.feed(tokens)
        finally:
            machine.events = None
        self._delta = machine.fresh or None
        return events

    def _take(self, tokens: Iterable[int]) -> None:
        machine = self._machine
        machine.feed(tokens)
        if machine.header is not None:
            self._delta = machine.content.advance(machine.tokens, machine.shown_end()) or None

    # -- openai-harmony's properties -----------------------------------------------------------------------

    @property
    def state(self) -> StreamState:
        return TABLE[self._machine.state].stream_state

    @property
    def current_role(self) -> Role | None:
        """The open message's role; in a header, the one known before it began."""
        header = self._machine.header
        return self._machine.role if header is None else header.role

    @property
    def current_channel(self) -> str | None:
        header = self._machine.header
        return None if header is None else header.channel

    @property
    def current_recipient(self) -> str | None:
        header = self._machine.header
        return None if header is None else header.recipient

    @property
    def current_content_type(self) -> str | None:
        header = self._machine.header
        return None if header is None else header.content_type

    @property
    def current_content(self) -> str:
        """The open message's text so far, as far as its code points are complete."""
        return "" if self._machine.header is None else self._machine.content.text()

    @property
    def last_content_delta(self) -> str | None:
        """The text that the last call completed; None if none was, or no content is open."""
        return None if self._machine.header is None else self._delta

    @property
    def messages(self) -> list[Message]:
        """The finished messages: the same objects each time, in a list that does not grow any more."""
        if len(self._snapshot) != len(self._machine.records):
            self._snapshot = self._machine.messages().copy()
        return self._snapshot

    @property
    def tokens(self) -> list[int]:
        """Every token taken, refused ones included. A new list each time."""
        return self._machine.tokens.copy()

    @property
    def state_data(self) -> dict[str, Any]:
        """The state as the plain data that `openai-harmony` gives."""
        machine = self._machine
        data: dict[str, Any] = {"state": self.state.value}
        header = machine.header
        if header is not None:
            author = {"role": header.role.value, **({} if header.name is None else {"name": header.name})}
            data["header"] = {
                "author": author,
                "recipient": header.recipient,
                "channel": header.channel,
                "content_type": header.content_type,
            }
            data["content_tokens"] = machine.content.complete_tokens(machine.tokens)
        elif machine.state is not State.BETWEEN:
            data["header_tokens"] = machine.tokens[machine.head :]
        return data

    # -- what they lack ------------------------------------------------------------------------------------

    @property
    def grammar_state(self) -> State:
        """Where the grammar's table is: `legal_control_tokens` of it may come next."""
        return self._machine.state

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Every repair so far."""
        return self._machine.diagnostics.copy()

    @property
    def spans(self) -> list[Span]:
        """What each token so far is; the last span may still grow."""
        return self._machine.spans()

    @property
    def pending(self) -> Pending | None:
        """The open header, if one is open."""
        return _pending(self._machine)


class _Settings(NamedTuple):
    """What a parser was made with."""

    role: Role | None
    policy: PolicyName
    tools: frozenset[str]
    sources: bool

    @classmethod
    def of(
        cls, role: Role | str | None, policy: PolicyName, tools: Iterable[str] | None, sources: bool = True
    ) -> _Settings:
        if policy not in _POLICIES:
            raise ValueError(f"policy is one of {', '.join(_POLICIES)}, not {policy!r}")
        known_tools = frozenset([tools] if isinstance(tools, str) else tools or ())
        return cls(None if role is None else Role(role), policy, known_tools, sources)

    def machine(self) -> Machine:
        return Machine(self.role, _POLICIES[self.policy], self.tools, self.sources)


def _pending(machine: Machine) -> Pending | None:
    if machine.state is State.BETWEEN or machine.header is not None:
        return None
    try:
        header = read(tuple(machine.tokens[machine.head :]), machine.role, machine.known_tools)
    except HeaderError:
        header = None
    return Pending(machine.start, tuple(machine.tokens[machine.start :]), header)
