"""The token-level state machine: ids in, records of messages out.

It takes the steps that the grammar's table allows. What to do about a token that the table does not allow is
the business of a `Policy`, of which there are two: `strict` and `recover`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from harmony_py.errors import ParseError
from harmony_py.format.build import build_message
from harmony_py.format.decode import TextStream, scan
from harmony_py.format.events import ContentDelta, Diagnostic, MessageEnd, MessageStart, Span
from harmony_py.format.grammar import TABLE, State, expected
from harmony_py.tokenizer.special import MESSAGE, START, STOP_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harmony_py.chat.messages import Message, Role
    from harmony_py.format.events import Event, Part
    from harmony_py.format.header import Header

NOTHING_HELD: Final = -1


class Record(NamedTuple):
    """A finished message as indices into the tokens, `start <= body <= end <= stop`, and what they need
    to be read."""

    header: Header
    start: int
    body: int
    end: int
    stop: int
    prompted: bool
    """The tokens continue a prompt's `<|start|>` and role, which are not among them."""
    skip: bool
    """The content begins with a space that only separates it from the header."""
    sourced: bool
    """The message remembers its tokens, for they are well formed."""


class Policy(Protocol):
    """What to do where the table has no answer."""

    any_id: bool
    """Whether ids outside `0 .. 2**32 - 1` are taken."""

    def stray_text(self, machine: Machine, ids: list[int]) -> None:
        """Text has come where none may stand, or while something is held back. Takes the ids itself."""

    def unexpected(self, machine: Machine, token: int) -> None:
        """`token`, the last one taken, is no text, and the table does not allow it here."""

    def read_header(self, machine: Machine) -> Header:
        """The fields of the header that `<|message|>`, the last token taken, has closed."""

    def finish(self, machine: Machine) -> None:
        """No more tokens will come, in the middle of a header or with something undecided."""


class Machine:
    """One stream of tokens being read. Costs O(1) amortised a token, whatever has been read before."""

    __slots__ = (
        "_built",
        "completes",
        "content",
        "diagnostics",
        "events",
        "flowing",
        "fresh",
        "head",
        "header",
        "held",
        "known_tools",
        "mended",
        "policy",
        "prompted",
        "records",
        "role",
        "skip",
        "sources",
        "start",
        "state",
        "text_start",
        "tokens",
    )

    def __init__(
        self, role: Role | None, policy: Policy, known_tools: frozenset[str], sources: bool = True
    ) -> None:
        self.policy = policy
        self.sources = sources
        """Messages remember their tokens."""
        self.known_tools = known_tools
        self.completes = role is not None and role.value == "assistant"
        """Every token comes from the model."""
        self.tokens: list[int] = []
        self.records: list[Record] = []
        self.diagnostics: list[Diagnostic] = []
        self.events: list[Event] | None = None
        """Where events go; None while nobody asks for them."""
        self.state = State.BETWEEN if role is None else State.ROLE
        self.flowing = False
        """Text goes straight into content."""
        self.held = NOTHING_HELD
        """Index of a control token in content that may yet turn out to have ended it."""
        self.text_start = 0
        """Between messages: where the text after the last control token begins."""
        # The open message.
        self.role = role
        """The role it is known to have without its tokens saying so."""
        self.prompted = role is not None
        self.start = 0
        self.head = 0
        """Where the text of its header begins: behind `<|start|>`, if there is one."""
        self.header: Header | None = None
        self.content = TextStream(0)
        self.fresh = ""
        """Text of its content that went out since somebody last cleared this."""
        self.skip = False
        self.mended = False
        """Its tokens are no well-formed message: rendering must not repeat them."""
        self._built: list[Message] = []

    # -- tokens in -----------------------------------------------------------------------------------------

    def feed(self, tokens: Iterable[int]) -> None:
        ids, controls = scan(tokens, any_size=self.policy.any_id)
        self.fresh = ""
        at = 0
        for position in controls:
            if position > at:
                self.text(ids[at:position])
            self.control(ids[position])
            at = position + 1
        if at < len(ids):
            self.text(ids[at:] if at else ids)
        self.flush(self.shown_end())

    def text(self, ids: list[int]) -> None:
        """Take ids that are all text."""
        if self.flowing or (self.held < 0 and TABLE[self.state].text):
            self.tokens += ids
        else:
            self.policy.stray_text(self, ids)

    def control(self, token: int) -> None:
        """Take one id that is no text."""
        self.tokens.append(token)
        after = TABLE[self.state].next.get(token) if self.held < 0 else None
        if after is None:
            if token == START and len(self.tokens) == 1:
                # A completion that repeats the end of its prompt: what the tokens say themselves counts.
                self.open_header(0)
                self.completes = False
            else:
                self.policy.unexpected(self, token)
        elif token == MESSAGE:
            self.open_content(self.policy.read_header(self), len(self.tokens))
        elif token == START:
            self.open_header(len(self.tokens) - 1)
        elif token in STOP_TOKENS:
            self.close(len(self.tokens) - 1, len(self.tokens))
        else:
            self.state = after

    def finish(self) -> None:
        """Take the end of the stream: an open message ends here. Done twice it does no more."""
        if self.flowing:
            self.close(len(self.tokens), len(self.tokens))
        elif self.state is not State.BETWEEN or self.text_start < len(self.tokens):
            self.policy.finish(self)

    # -- steps ---------------------------------------------------------------------------------------------

    def open_header(self, start: int, role: Role | None = None) -> None:
        """A message begins at `start`; without a `<|start|>` of its own if its `role` is known."""
        if self.state is State.BETWEEN and self.text_start < start:
            self.report("noise", self.text_start, start)
        self.state = State.ROLE
        self.start = start
        self.head = start if role else start + 1
        self.role = role
        self.prompted = False
        self.mended = role is not None

    def open_content(self, header: Header, body: int, *, skip: bool = False) -> None:
        self.state = State.CONTENT
        self.flowing = True
        self.role = None
        self.header = header
        self.content = TextStream(body)
        self.fresh = ""
        self.skip = skip
        if self.events is not None:
            self.events.append(MessageStart(len(self.records), header))

    def close(self, end: int, stop: int) -> None:
        """The open message ends: its content before `end`, its terminator, if it has one, before `stop`."""
        self.flush(end, last=True)
        assert self.header is not None
        sourced = self.sources and not self.mended
        self.records.append(
            Record(self.header, self.start, self.content.start, end, stop, self.prompted, self.skip, sourced)
        )
        if self.events is not None:
            index = len(self.records) - 1
            self.events.append(MessageEnd(index, self.messages()[index]))
        self.state = State.BETWEEN
        self.flowing = self.prompted = self.mended = False
        self.header = None
        self.held = NOTHING_HELD
        self.text_start = stop

    def drop_header(self) -> None:
        """The open header's tokens turn out to belong to no message."""
        self.state = State.BETWEEN
        self.role = None
        self.prompted = False
        self.text_start = len(self.tokens)

    def copy(self) -> Machine:
        """Another machine at the same point of the same stream."""
        other = copy.copy(self)
        for name in ("tokens", "records", "diagnostics", "_built"):
            setattr(other, name, getattr(self, name).copy())
        other.content = self.content.copy()
        return other

    # -- what comes out ------------------------------------------------------------------------------------

    def shown_end(self) -> int:
        """Where the text that is certainly content ends."""
        return len(self.tokens) if self.held < 0 else self.held

    def flush(self, end: int, *, last: bool = False) -> None:
        """Hand out the content's text before `end`; with `last` there will be no more of it."""
        if self.events is None or self.header is None:
            return
        fresh = self.content.start == self.content.done
        text = self.content.advance(self.tokens, end)
        if last:
            text += self.content.finish()
        if self.skip and fresh:
            text = text[1:]
        if text:
            self.fresh += text
            self.events.append(ContentDelta(len(self.records), text))

    def report(self, code: str, start: int, end: int | None = None, detail: str = "") -> None:
        """Note a repair of the tokens from `start` to `end`, by default the one at `start`."""
        span = (start, start + 1 if end is None else end)
        diagnostic = Diagnostic(code, start, span, detail)
        self.diagnostics.append(diagnostic)
        if self.events is not None:
            # First the text that came before, so that the order does not depend on how tokens come in.
            self.flush(min(max(start, self.content.done), self.shown_end()))
            self.events.append(diagnostic)

    def messages(self) -> list[Message]:
        """The finished messages, each made once, when first asked for."""
        while len(self._built) < len(self.records):
            self._built.append(build_message(self.records[len(self._built)], self.tokens))
        return self._built

    def error(self, reason: str, token_index: int) -> ParseError:
        token = self.tokens[token_index] if token_index < len(self.tokens) else None
        return ParseError(
            reason, token_index, token, self.state.value, expected(self.state), tuple(self.messages())
        )

    def spans(self) -> list[Span]:
        """What each token is; together the spans are exactly the tokens."""
        cuts: list[tuple[int, Part, int | None]] = []
        for index, record in enumerate(self.records):
            cuts += (
                (record.start, "noise", None),
                (record.body, "header", index),
                (record.end, "content", index),
                (record.stop, "terminator", index),
            )
        if self.header is not None:
            index = len(self.records)
            cuts += ((self.start, "noise", None), (self.content.start, "header", index))
            cuts.append((len(self.tokens), "content", index))
        elif self.state is not State.BETWEEN:
            cuts += ((self.start, "noise", None), (len(self.tokens), "header", None))
        cuts.append((len(self.tokens), "noise", None))
        spans = []
        start = 0
        for end, part, message in cuts:
            if start < end:
                spans.append(Span(start, end, part, message))
                start = end
        return spans
