"""Worst cases: inputs on which tokenizers fall behind, hang or crash.

Every call is given another variant (another length, another seed), so that no cache of whole pieces can
answer from an earlier call: what is measured is the work.
"""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 1_000_000
"""Bytes of UTF-8, about."""

_WORDS = ("the", "of", "and", "to", "in", "is", "you", "that", "it", "he", "was", "for", "on", "are", "with")
_HANZI = "".join(map(chr, range(0x4E00, 0x9FA6)))
_LATIN1 = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x100)]))
_SPACES = (" ", "\t", "\n", "\r\n", "  \n", "\u00a0", "\u3000")


def text(name: str, variant: int, size: int = SIZE) -> str:
    """The worst case `name`; each `variant` is different text of the same kind and (nearly) the same size."""
    return _MAKERS[name](random.Random(f"{name} {variant}"), variant, size)


def _run(character: str) -> Callable[[random.Random, int, int], str]:
    """One character repeated: only the length can vary."""
    width = len(character.encode())
    return lambda rng, variant, size: character * (size // width - 7 * variant)


def _drawn(alphabet: str, width: float = 1) -> Callable[[random.Random, int, int], str]:
    """Characters drawn evenly from `alphabet`, which takes `width` bytes a character on average."""
    return lambda rng, variant, size: "".join(rng.choices(alphabet, k=int(size / width)))


def _indentation(rng: random.Random, variant: int, size: int) -> str:
    """Short words between runs of all kinds of white space, as in deeply indented or badly extracted text."""
    runs = (rng.choice(_SPACES) * rng.randrange(1, 30) + rng.choice(_WORDS) for _ in range(size // 24))
    return "".join(runs)


def _white_space(rng: random.Random, variant: int, size: int) -> str:
    """Nothing but white space, line ends among it: one piece that many splitters retry."""
    return "".join(rng.choice(_SPACES) * rng.randrange(1, 30) for _ in range(size // 28))


def _unicode(rng: random.Random, variant: int, size: int) -> str:
    """Any scalar values: letters, marks, symbols, unassigned ones, from every plane."""
    points = (rng.randrange(0x20, 0x110000) for _ in range(size // 4))
    return "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)


def _hanzi_run(rng: random.Random, variant: int, size: int) -> str:
    """One piece that repeats a phrase."""
    phrase = "".join(rng.choices("的一是不了人我在有他这为之大来以个中上们", k=13))
    return phrase * (size // 3 // len(phrase))


def _glued_words(rng: random.Random, variant: int, size: int) -> str:
    """Common words without spaces: one piece with many tempting merges."""
    return "".join(rng.choices(_WORDS, k=size // 3))[:size]


_MAKERS: dict[str, Callable[[random.Random, int, int], str]] = {
    "letter run": _run("a"),
    "space run": _run(" "),
    "punctuation run": _run("!"),
    "indentation": _indentation,
    "white space": _white_space,
    "digits": _drawn(string.digits),
    "latin-1": _drawn(_LATIN1, 1.5),
    "unicode": _unicode,
    "hanzi run": _hanzi_run,
    "random hanzi": _drawn(_HANZI, 3),
    "random letters": _drawn(string.ascii_lowercase),
    "glued words": _glued_words,
    "random punctuation": _drawn(string.punctuation),
}

NAMES = tuple(_MAKERS)

WHOLE = frozenset({"space run"})
"""One piece on which the reference's regular expression runs out of stack; its merge loop knows the ids."""
