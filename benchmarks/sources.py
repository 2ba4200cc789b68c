"""Where the benchmark's text comes from: documentation, sources and translations inside pinned packages."""

from __future__ import annotations

import ast
import gzip
import html.parser
import importlib.metadata
import json
import struct
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE_SUFFIXES = frozenset({".py", ".pyx", ".pxd", ".pyi", ".c", ".h", ".cpp", ".js", ".css", ".html"})
CODE_PACKAGES = ("botocore", "Cython", "Django", "gramps", "matplotlib", "mercurial")
TRANSLATED_PACKAGES = (
    "Django",
    "gramps",
    "jupyterlab-language-pack-ko-KR",
    "jupyterlab-language-pack-zh-CN",
    "mercurial",
    "plone.app.locales",
)
SERVICE_LIMIT = 40_000
"""Characters of one service's documentation: many services say more different things than one large one."""


class Document(NamedTuple):
    """A text by a name that does not depend on where the package is installed."""

    name: str
    read: Callable[[], str]


def service_documentation() -> Iterator[Document]:
    """botocore's description of each service's operations: prose, written by hundreds of teams."""
    models = {}
    for name, path in _files(("botocore",), frozenset({".gz"})):
        if path.name == "service-2.json.gz":
            models[path.parts[-3]] = name, path  # sorted: the newest version of a service comes last
    for name, path in models.values():
        yield Document(name, partial(_documentation, path))


def docstrings() -> Iterator[Document]:
    """The docstrings of Python modules, one document a module."""
    for name, path in _files(CODE_PACKAGES, frozenset({".py"})):
        yield Document(f"docstrings of {name}", partial(_docstrings, path))


def source_files() -> Iterator[Document]:
    """Program sources as they are, generated and minified ones left out."""
    for name, path in _files(CODE_PACKAGES, SOURCE_SUFFIXES):
        text = path.read_text(encoding="utf-8", errors="ignore")
        if max(map(len, text.split("\n"))) < 400:
            yield Document(name, partial(str, text))


def translations(chosen: Callable[[str], bool]) -> Iterator[Document]:
    """Translated messages of the languages `chosen`, in blocks of fifty, no sentence twice."""
    seen: set[str] = set()
    for name, path in _files(TRANSLATED_PACKAGES, frozenset({".mo"})):
        language = path.parts[-3]
        if not chosen(language):
            continue
        fresh = [text for text in dict.fromkeys(_messages(path.read_bytes())) if text not in seen]
        seen.update(fresh)
        for start in range(0, len(fresh), 50):
            block = "\n".join(fresh[start : start + 50])
            yield Document(f"{name}:{start}", partial(str, block))


def _files(packages: tuple[str, ...], suffixes: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """What `packages` installed with one of `suffixes`: a name that is the same everywhere, and the path."""
    for package in packages:
        try:
            installed = importlib.metadata.distribution(package).files or ()
        except importlib.metadata.PackageNotFoundError as missing:
            raise ModuleNotFoundError(
                f"the corpora are made from {package!r}, which is not installed: pip install --group bench"
            ) from missing
        for file in sorted(installed, key=str):
            if file.suffix in suffixes:
                yield f"{package}: {file.as_posix().lstrip('./')}", Path(str(file.locate()))


def _messages(catalogue: bytes) -> Iterator[str]:
    """The translations in a gettext `.mo` file, plural forms apart, without those left in English."""
    order = "<" if catalogue[:4] == b"\xde\x12\x04\x95" else ">"
    count, originals, translated = struct.unpack_from(f"{order}3I", catalogue, 8)
    for i in range(count):
        original, message = (
            catalogue[start : start + length]
            for length, start in (
                struct.unpack_from(f"{order}2I", catalogue, table + 8 * i)
                for table in (originals, translated)
            )
        )
        if original and message != original:
            yield from filter(None, message.decode("utf-8").split("\0"))


@cache
def _docstrings(path: Path) -> str:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented))
    return "\n\n".join(text for text in found if text and len(text) > 80)


@cache
def _documentation(model: Path) -> str:
    paragraphs: dict[str, None] = {}
    length = 0
    for markup in _documentation_strings(json.loads(gzip.decompress(model.read_bytes()))):
        text = _plain(markup)
        if len(text) > 80 and text not in paragraphs:
            paragraphs[text] = None
            length += len(text)
            if length > SERVICE_LIMIT:
                break
    return "\n\n".join(paragraphs)


def _documentation_strings(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("documentation"), str):
            yield node["documentation"]
        for value in node.values():
            yield from _documentation_strings(value)


class _TextOnly(html.parser.HTMLParser):
    """Keeps an HTML fragment's text and turns its blocks into lines."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"p", "li", "dt", "dd", "note", "important"}:
            self.parts.append("\n")


def _plain(markup: str) -> str:
    parser = _TextOnly()
    parser.feed(markup)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)
