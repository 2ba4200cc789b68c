"""The slow twin: the same ids as the Rust core's, from a regular expression and a loop.

Byte-pair encoding as it is defined, to be read and to be compared with. A text is cut into pieces; in each
piece, the two neighbours that make the token of the lowest rank are merged, the leftmost on a tie, until no
two neighbours make a token.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

from harmony_py import _rust
from harmony_py.tokenizer import vocab

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Character classes as `rust_ext/src/classes.rs` numbers them. They are taken from there, because they are
# Unicode 16.0's, as tiktoken's are, and neither Python's `re` nor the `regex` package keeps to one Unicode.
_UPPER, _LOWER, _CASELESS, _MARK, _NUMBER, _SPACE = (1 << bit for bit in range(6))
_LETTER = _UPPER | _LOWER | _CASELESS


@functools.cache
def pattern() -> re.Pattern[str]:
    """The o200k pattern. Every text is the matches of its alternatives in a row, nothing left over."""
    head = _class(_UPPER | _CASELESS | _MARK)
    tail = _class(_LOWER | _CASELESS | _MARK)
    space = _class(_SPACE)
    prefix = rf"[^\r\n{_members(_LETTER | _NUMBER)}]?"
    contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    return re.compile(
        "|".join(
            [
                rf"{prefix}{head}*{tail}+{contraction}",
                rf"{prefix}{head}+{tail}*{contraction}",
                rf"{_class(_NUMBER)}{{1,3}}",
                rf" ?[^{_members(_LETTER | _NUMBER | _SPACE)}]+[\r\n/]*",
                rf"{space}*[\r\n]+",
                rf"{space}+(?![^{_members(_SPACE)}])",
                rf"{space}+",
            ]
        )
    )


def _class(bits: int) -> str:
    return f"[{_members(bits)}]"


def _members(bits: int) -> str:
    return "".join(rf"\U{start:08x}-\U{end:08x}" for start, end in _rust.class_ranges(bits))


class ReferenceTokenizer:
    """Encodes ordinary text, with o200k's tokens or with others that you pass in rank order."""

    def __init__(self, tokens: Iterable[bytes] | None = None) -> None:
        self.tokens: Final = list(vocab.tokens() if tokens is None else tokens)
        self.ranks: Final = {token: rank for rank, token in enumerate(self.tokens)}

    def encode_ordinary(self, text: str) -> list[int]:
        """Ids of `text`, in which nothing is a control token."""
        # A pair of surrogates is its character, a lone one U+FFFD.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return [rank for piece in pattern().findall(text) for rank in self.merge(piece.encode())]

    def merge(self, piece: bytes) -> list[int]:
        """Ids of one piece. Takes time in the square of its length."""
        parts = [bytes([byte]) for byte in piece]
        while True:
            ranked = [(self.ranks.get(parts[at] + parts[at + 1]), at) for at in range(len(parts) - 1)]
            mergeable = [(rank, at) for rank, at in ranked if rank is not None]
            if not mergeable:
                return [self.ranks[part] for part in parts]
            _, at = min(mergeable)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """Bytes of `ids`."""
        return b"".join(self.tokens[rank] for rank in ids)
