"""The exported vocabulary is the published one, under the names that other libraries look for."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest
import tiktoken.load
from tiktoken_ext import openai_public

from harmony_py import VocabularyError
from harmony_py.tokenizer import vocab

if TYPE_CHECKING:
    from pathlib import Path


def test_the_export_is_the_published_file(vocabulary_directory: Path) -> None:
    written = sorted(path.name for path in vocabulary_directory.iterdir())
    assert written == sorted([vocab.FILE_NAME, vocab.CACHE_NAME])
    for name in written:
        assert hashlib.sha256((vocabulary_directory / name).read_bytes()).hexdigest() == vocab.SHA256


def test_tiktoken_finds_it_without_asking_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str) -> bytes:
        raise AssertionError(f"read {address}, which the export should have spared it")

    monkeypatch.setattr(tiktoken.load, "read_file", refuse)
    ranks = openai_public.o200k_base()["mergeable_ranks"]
    assert list(ranks) == vocab.tokens()


def test_an_export_replaces_what_was_there_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    target.mkdir(parents=True)
    (target / vocab.FILE_NAME).write_bytes(b"broken")
    assert vocab.export(target) == [target / vocab.FILE_NAME, target / vocab.CACHE_NAME]
    assert sorted(os.listdir(target)) == sorted([vocab.FILE_NAME, vocab.CACHE_NAME])
    assert (target / vocab.FILE_NAME).read_bytes() == (target / vocab.CACHE_NAME).read_bytes()


def test_a_wrong_vocabulary_is_not_exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(vocab, "tokens", lambda: [b"a", b"b"])
    with pytest.raises(VocabularyError, match=vocab.SHA256):
        vocab.export(tmp_path)
    assert list(tmp_path.iterdir()) == []
