"""`HttpEngine`: a server as an engine. However many machines are behind its address, here it is one."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from harmony_py.engines import Drawn
from harmony_py.engines.http.dialects import DIALECTS
from harmony_py.engines.http.lines import StreamError, excerpt, objects
from harmony_py.engines.http.transport import Patience, Server, TransportError, post
from harmony_py.engines.options import options
from harmony_py.errors import EngineError
from harmony_py.format.grammar import StreamState
from harmony_py.format.text import TextParser
from harmony_py.tokenizer.special import CALL, RETURN, SAMPLING_STOP_TOKENS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from harmony_py.engines import Mask
    from harmony_py.engines.http.dialects import Dialect, Piece

STOP: Final = SAMPLING_STOP_TOKENS

_LONGEST_TOKEN: Final = 128
"""Bytes of the vocabulary's longest token."""


class HttpEngine:
    """A server that completes raw prompts, as a `harmony_py.engines.Engine`. May be shared between threads.

    `dialect` is a name in `DIALECTS` or a `Dialect` of yours. `sampling` is a mapping, or an object, with the
    names in `harmony_py.engines.options`; `extra` goes into every request as it is, `headers` too, such as
    those that a server wants for letting you in.

    Nothing that has come is lost: whatever goes wrong is an `EngineError` with the tokens, and the text, that
    came before. Redirections are not followed, and no proxy is used.
    """

    def __init__(
        self,
        url: str,
        *,
        dialect: str | Dialect = "completions",
        model: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        max_tokens: int = 4096,
        patience: Patience | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        if isinstance(dialect, str) and dialect not in DIALECTS:
            raise EngineError(url, f"unknown dialect {dialect!r}; there are {', '.join(DIALECTS)}")
        self.dialect = DIALECTS[dialect] if isinstance(dialect, str) else dialect
        self.model = model
        self.extra = dict(extra or {})
        self.max_tokens = max_tokens
        """Where `sampling` does not say."""
        self._server = Server(url, dict(headers or {}), patience or Patience(), context)

    def generate(
        self, ids: Sequence[int], sampling: Any = None, *, mask: Mask | None = None
    ) -> Generator[Drawn, None, None]:
        """The tokens behind `ids` as they come. Closing the iterator ends the request.

        From a server that gives text they are the tokens of that text, which need not be those that were
        drawn. It stops at a stop token, and at as many tokens as were asked for, even if the server does not.
        A mask cannot be followed from here: `EngineError`.
        """
        if mask is not None:
            raise EngineError(self._server.url, "a server cannot follow a mask; give it a grammar as `extra`")
        chosen = {"max_tokens": self.max_tokens, "stop": STOP, **options(self._server.url, sampling)}
        if chosen["max_tokens"] < 1:
            return
        run = _Run(self.dialect, chosen["max_tokens"], frozenset(chosen["stop"]))
        try:
            with closing(self._answers(ids, chosen)) as answers:
                yield from run.tokens(answers)
        except (TransportError, StreamError) as error:
            kept = tuple(run.drawn)
            raise EngineError(self._server.url, str(error), kept, run.text) from error

    def _answers(self, ids: Sequence[int], chosen: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
        body = {**self.dialect.body(self.model, ids, chosen), **self.extra}
        kinds = (
            ("text/event-stream",) if self.dialect.events else ("application/x-ndjson", "application/json")
        )
        with closing(post(self._server, self.dialect.path, json.dumps(body).encode(), kinds)) as pieces:
            for answer in objects(pieces, events=self.dialect.events):
                if answer.get("error") is not None:
                    raise StreamError(f"the server reports {excerpt(json.dumps(answer['error']))}")
                yield answer


class _Run:
    """One answer being read."""

    def __init__(self, dialect: Dialect, most: int, stop: frozenset[int]) -> None:
        self._dialect = dialect
        self._most = most
        self._stop = stop
        self._reader: _TextReader | None = None
        self.drawn: list[int] = []
        """What has come."""

    @property
    def text(self) -> str:
        """What has come as text."""
        return "" if self._reader is None else "".join(self._reader.texts)

    def tokens(self, answers: Iterator[dict[str, Any]]) -> Iterator[Drawn]:
        """The tokens in `answers`, the last with the reason why it is the last.

        That a token is the last one may come behind it, so each is held back until the next one comes.
        """
        given = 0
        try:
            for piece, finish in self._pieces(answers):
                self.drawn += piece
                until = len(self.drawn) - 1
                for token in self.drawn[given:until]:
                    yield Drawn(token)
                given = max(given, until)
                if finish is not None:
                    yield from (Drawn(token, finish) for token in self.drawn[given:])
                    return
        except (TransportError, StreamError):
            yield from map(Drawn, self.drawn[given:])
            raise
        yield from map(Drawn, self.drawn[given:])
        raise StreamError("the answer ended before it was finished")

    def _pieces(self, answers: Iterator[dict[str, Any]]) -> Iterator[tuple[list[int], str | None]]:
        """The ids that each answer brings, up to a token that ends it all, and why it does."""
        seen = 0
        for answer in answers:
            piece = self._dialect.piece(answer, seen)
            seen += len(piece.ids)
            ids = self._ids(piece)
            left = self._most - len(self.drawn)
            end = next((at for at, token in enumerate(ids[:left], 1) if token in self._stop), None)
            if end is not None:
                yield ids[:end], "stop"
            elif len(ids) >= left:
                yield ids[:left], "length"
            else:
                yield ids, piece.finish

    def _ids(self, piece: Piece) -> list[int]:
        ids = piece.ids
        if piece.text or self._reader is not None:
            if ids or (self.drawn and self._reader is None):
                raise StreamError("the server gave ids and text by turns")
            self._reader = self._reader or _TextReader(self._most * _LONGEST_TOKEN)
            ids = self._reader.feed(piece)
        if piece.stop is not None and [*self.drawn, *ids][-1:] != [piece.stop]:
            ids = [*ids, piece.stop]
        return ids


class _TextReader:
    """Text to ids, as the parser for text finds them."""

    def __init__(self, most: int) -> None:
        self.texts: list[str] = []
        self._left = most
        self._parser = TextParser()
        self._given = 0

    def feed(self, piece: Piece) -> list[int]:
        """The ids that are certain now; with the last piece, all that are left."""
        self.texts.append(piece.text)
        self._left -= len(piece.text)
        if self._left < 0:
            raise StreamError("the server sent more text than the tokens asked for can hold")
        self._parser.feed(piece.text)
        streamed = self._parser.parser
        within, recipient = streamed.state is StreamState.CONTENT, streamed.current_recipient
        if piece.finish is not None:
            self._parser.finish()
        ids = streamed.tokens[self._given :]
        self._given += len(ids)
        if within and piece.finish == "stop" and piece.stop is None:
            # Servers swallow the token that they stop at. The open message tells which it was.
            ids.append(RETURN if recipient is None else CALL)
        return ids
