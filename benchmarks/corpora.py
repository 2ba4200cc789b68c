"""Texts to measure on, put together from what pinned packages carry: nothing is downloaded or committed.

The same versions give the same bytes: documents are taken in the order of a hash of their names, so that both
halves of a corpus hold the same kinds of text but never the same text, and cut at a fixed size.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import adversarial, chat, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from benchmarks.sources import Document

MEGABYTE = 1_000_000
NAMES = ("english", "code", "chat", "multilingual", "cjk")


class Corpus(NamedTuple):
    """A named text in two halves: the first to warm up on, the second to be measured on."""

    name: str
    first: str
    second: str

    @property
    def text(self) -> str:
        return self.first + self.second

    def manifest(self) -> str:
        """Name, bytes and hash: two runs with the same line measured the same text."""
        data = self.text.encode()
        return f"{self.name:<22} {len(data):>9,} bytes  sha256 {hashlib.sha256(data).hexdigest()}"


def halved(name: str, text: str) -> Corpus:
    """Cut `text` at the line that begins after its middle."""
    middle = text.find("\n", len(text) // 2) + 1 or len(text) // 2
    return Corpus(name, text[:middle], text[middle:])


def load(name: str, megabytes: float | None = None) -> Corpus:
    """The corpus `name`, or its beginning where `megabytes` asks for less."""
    build, size = _BUILDERS[name]
    return halved(name, _take(build(), round(min(size, megabytes or size) * MEGABYTE)))


def from_file(name: str, path: Path) -> Corpus:
    """A corpus of one's own."""
    return halved(name, path.read_text(encoding="utf-8"))


def _take(documents: Iterable[str], size: int) -> str:
    """Whole lines of `documents`, at most `size` bytes of UTF-8."""
    taken, left = [], size
    for text in documents:
        data = (text + "\n").encode()
        if len(data) > left:
            taken.append(data[: data.rfind(b"\n", 0, left) + 1])
            break
        taken.append(data)
        left -= len(data)
    return b"".join(taken).decode()


def _shuffled(documents: Iterable[Document]) -> list[Document]:
    return sorted(documents, key=lambda document: hashlib.sha256(document.name.encode()).digest())


def _texts(documents: Iterable[Document]) -> Iterator[str]:
    return (document.read() for document in _shuffled(documents))


def _english() -> Iterator[str]:
    return _texts([*sources.service_documentation(), *sources.docstrings()])


def _code() -> Iterator[str]:
    return _texts(sources.source_files())


def _translations(chosen: Callable[[str], bool]) -> Iterator[str]:
    return _texts(sources.translations(chosen))


def _chat() -> Iterator[str]:
    return chat.requests(_english(), _code())


def _is_cjk(language: str) -> bool:
    return language.split("_")[0] in {"zh", "ja", "ko"}


def _is_neither_cjk_nor_english(language: str) -> bool:
    return not _is_cjk(language) and not language.startswith("en")


_BUILDERS: dict[str, tuple[Callable[[], Iterator[str]], float]] = {
    "english": (_english, 6.0),
    "code": (_code, 6.0),
    "chat": (_chat, 5.0),
    "multilingual": (lambda: _translations(_is_neither_cjk_nor_english), 6.0),
    "cjk": (lambda: _translations(_is_cjk), 4.0),
}


def main(arguments: Sequence[str]) -> int:
    """Write every corpus and the first variant of every worst case as plain files, and print the manifest."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks corpora", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    made = [load(name) for name in NAMES]
    made += [
        Corpus(f"adv_{name.replace(' ', '_')}", adversarial.text(name, 0), "") for name in adversarial.NAMES
    ]
    for corpus in made:
        (folder / f"{corpus.name}.txt").write_bytes(corpus.text.encode())
        print(corpus.manifest())
    return 0
