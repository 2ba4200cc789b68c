"""Things to copy: names made of the vocabulary's own words, and cities that the toy knows how to spell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py import Tokenizer
from harmony_py.tokenizer.special import START_OF_TEXT

if TYPE_CHECKING:
    import random

HELD_OUT_CITIES = (
    "Tokyo", "Madrid", "Mumbai", "Sydney", "Delhi", "Montevideo", "San Francisco", "Hong Kong", "Cape Town",
    "Accra", "Dhaka", "Seattle", "Houston", "Barcelona", "Singapore", "Dallas", "Denver", "Manchester",
)  # fmt: skip
"""In no lesson. Each begins with a word that is one token, behind a space and behind a quote."""

KNOWN_CITIES = (
    "Paris", "London", "Berlin", "Rome", "Oslo", "Cairo", "Lima", "Seoul", "Vienna", "Prague", "Dublin",
    "Lisbon", "Athens", "Helsinki", "Stockholm", "Nairobi", "Kyoto", "Osaka", "Bangkok", "Jakarta",
    "Istanbul", "Warsaw", "Toronto", "Chicago", "Boston", "New York", "Beijing", "Munich", "Hamburg",
    "Santiago",
)  # fmt: skip
"""Many of them are one token behind a space and several behind a quote: these are learned by heart."""

SKIES = ("sunny", "cloudy", "rainy", "windy", "snowy", "foggy", "clear", "stormy")


class Names:
    """Draws names and noise from the vocabulary."""

    def __init__(self) -> None:
        tokenizer = Tokenizer.o200k_harmony()
        texts = [tokenizer.decode([token]) for token in range(START_OF_TEXT)]
        held_out = {word for city in HELD_OUT_CITIES for word in city.split()}
        plain = {text for text in texts if text.isalpha()} - held_out
        spaced = {text[1:] for text in texts if text[:1] == " " and text[1:].isalpha()} - held_out
        self._words = sorted(plain & spaced)
        self._spaced = sorted(f" {word}" for word in spaced)
        self._tails = sorted(word for word in plain if word.islower() and word.isascii() and len(word) < 6)
        self._tokenizer = tokenizer

    def word(self, random: random.Random) -> str:
        """A word that is one token, behind a space and elsewhere."""
        return random.choice(self._words)

    def draw(self, random: random.Random, known: tuple[str, ...] = ()) -> str:
        """A name of one to three tokens, or one of those known, that reads the same wherever it stands."""
        if known and random.random() < 0.35:
            return random.choice(known)
        while True:
            word = random.choice(self._words)
            kind = random.random()
            if kind < 0.3:
                word += random.choice(self._tails)
            if 0.2 < kind < 0.5:
                word += random.choice(self._spaced)
            if self._is_plain(word):
                return word

    def noise(self, random: random.Random, words: int) -> str:
        return "".join(random.choice(self._spaced) for _ in range(words)).strip()

    def _is_plain(self, name: str) -> bool:
        """Whether the name's tokens behind a space and elsewhere differ only in that space."""
        first, *rest = self._tokenizer.encode(name)
        spaced, *others = self._tokenizer.encode(f" {name}")
        decode = self._tokenizer.decode
        return rest == others and decode([spaced]) == f" {decode([first])}"
