"""The benchmarks' texts are the same everywhere and every time, and of the size and kind they claim."""

from __future__ import annotations

import gettext
import io
import json
import struct
from typing import TYPE_CHECKING

import pytest

from benchmarks import adversarial, corpora, sources, vocabularies
from benchmarks.sources import Document
from harmony_py.tokenizer import vocab

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def small_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources that are always at hand in place of those that the packages carry."""

    def prose() -> Iterator[Document]:
        for i in range(300):
            paragraph = f"Paragraph {i} explains the matter at hand to whoever reads it.\n" * 15
            yield Document(f"prose {i}", lambda paragraph=paragraph: paragraph)  # type: ignore[misc]

    def code() -> Iterator[Document]:
        for i in range(300):
            yield Document(f"code {i}", lambda i=i: f"def f{i}(x):\n    return x + {i}\n")  # type: ignore[misc]

    monkeypatch.setattr(sources, "service_documentation", prose)
    monkeypatch.setattr(sources, "docstrings", lambda: iter(()))
    monkeypatch.setattr(sources, "source_files", code)


@pytest.mark.usefixtures("small_sources")
@pytest.mark.parametrize(("name", "size"), [("english", 8_000), ("code", 8_000), ("chat", 100_000)])
def test_a_corpus_is_the_same_twice_within_its_size_and_halved_at_a_line(name: str, size: int) -> None:
    corpus = corpora.load(name, megabytes=size / 1e6)
    assert corpus == corpora.load(name, megabytes=size / 1e6)
    assert size / 2 < len(corpus.text.encode()) <= size
    assert corpus.first.endswith("\n")
    assert corpus.second.endswith("\n")


@pytest.mark.usefixtures("small_sources")
def test_chat_lines_are_requests() -> None:
    lines = corpora.load("chat", megabytes=0.05).text.splitlines()
    assert len(lines) > 3
    for line in lines:
        request = json.loads(line)
        roles = [message["role"] for message in request["messages"]]
        assert roles[:2] == ["system", "user"]
        assert roles[-1] == "assistant"


def test_translations_are_read_as_gettext_reads_them() -> None:
    pairs = {
        "": "Content-Type: text/plain; charset=UTF-8\n",
        "one\0many": "uno\0molti",
        "same": "same",
        "yes": "sì",
    }
    catalogue = _mo(pairs)
    assert gettext.GNUTranslations(io.BytesIO(catalogue)).gettext("yes") == "sì"
    assert list(sources._messages(catalogue)) == ["uno", "molti", "sì"]


def _mo(pairs: dict[str, str]) -> bytes:
    """A gettext catalogue of `pairs`, which are in order."""
    originals, translations = ([text.encode() for text in texts] for texts in (pairs, pairs.values()))
    start = 28 + 16 * len(pairs)
    tables, strings = b"", b""
    for text in [*originals, *translations]:
        tables += struct.pack("<2I", len(text), start + len(strings))
        strings += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, start)
    return header + tables + strings


@pytest.mark.parametrize("name", adversarial.NAMES)
def test_each_variant_of_a_worst_case_is_other_text_of_the_same_size(name: str) -> None:
    first, second = (adversarial.text(name, variant, size=30_000) for variant in (0, 1))
    assert first == adversarial.text(name, 0, size=30_000)
    assert first != second
    assert 0.8 < len(first.encode()) / 30_000 < 1.4


def test_merges_for_hugging_face_are_those_of_the_ranks() -> None:
    tokens = vocab.tokens()
    ranks = {token: rank for rank, token in enumerate(tokens)}
    for token in tokens[300::2_000]:
        left, right = vocabularies.last_merge(ranks, token)
        assert left + right == token
        assert max(ranks[left], ranks[right]) < ranks[token]
    assert vocabularies.last_merge({b"a": 0, b"b": 1, b"ab": 2, b"abb": 3}, b"abb") == [b"ab", b"b"]
