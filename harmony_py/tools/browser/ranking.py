"""A plain search over a few texts: which fit a query best (BM25), and the passage that says why."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD: Final = re.compile(r"\w+")
_SATURATION: Final = 1.2
_LENGTH_WEIGHT: Final = 0.75
_TITLE_WEIGHT: Final = 3
_PASSAGE: Final = 240
_MOST_WORDS: Final = 32


class Text(NamedTuple):
    """A text to search in, its words counted once."""

    title: str
    lines: tuple[str, ...]
    counts: Counter[str]
    length: int

    @classmethod
    def of(cls, title: str, lines: tuple[str, ...]) -> Text:
        words = [word for line in lines for word in words_of(line)]
        counts = Counter(words)
        for word in words_of(title):
            counts[word] += _TITLE_WEIGHT
        return cls(title, lines, counts, len(words))


def words_of(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def ranked(query: str, texts: Sequence[Text]) -> list[int]:
    """The indices of the texts that have a word of the query, the best first; equals stay in order."""
    words = list(dict.fromkeys(words_of(query)))[:_MOST_WORDS]
    average = sum(text.length for text in texts) / len(texts) if texts else 1.0
    scores = dict.fromkeys(range(len(texts)), 0.0)
    for word in words:
        having = [i for i, text in enumerate(texts) if word in text.counts]
        rarity = math.log(1 + (len(texts) - len(having) + 0.5) / (len(having) + 0.5))
        for i in having:
            count = texts[i].counts[word]
            length = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * texts[i].length / (average or 1.0)
            scores[i] += rarity * count * (_SATURATION + 1) / (count + _SATURATION * length)
    return sorted((i for i, score in scores.items() if score > 0), key=lambda i: -scores[i])


def passage(query: str, text: Text) -> str:
    """The lines around the one with most of the query's words."""
    wanted = set(words_of(query)[:_MOST_WORDS])
    fits = [len(wanted.intersection(words_of(line))) for line in text.lines]
    best = max(range(len(fits)), key=fits.__getitem__, default=0)
    return " ".join(" ".join(text.lines[best : best + 4]).split())[:_PASSAGE]
