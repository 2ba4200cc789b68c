"""Decoding ids one by one, as they are sampled."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harmony_py import _rust


class StreamDecoder:
    """Text of ids that arrive bit by bit, with the bytes of an unfinished character held back.

    However the ids arrive, all the text together is what `Tokenizer.decode` gives for all of them.
    """

    __slots__ = ("_characters", "_core")

    def __init__(self, core: _rust.Core, errors: str = "replace") -> None:
        self._core = core
        self._characters = codecs.getincrementaldecoder("utf-8")(errors)

    def push(self, token: int) -> str:
        """The text that `token` completes: empty while a character is unfinished."""
        return self._characters.decode(self._core.decode_single_token_bytes(token))

    def feed(self, tokens: Sequence[int]) -> str:
        """The text that `tokens` complete."""
        return self._characters.decode(self._core.decode_bytes(tokens))

    def finish(self) -> str:
        """No more tokens follow: what is left of an unfinished character, as `errors` has it."""
        text = self._characters.decode(b"", final=True)
        self._characters.reset()
        return text
