"""Texts to measure on, put together from what pinned packages carry: nothing is downloaded or committed.

The same versions give the same bytes: documents are taken in the order of a hash of their names, so that both
halves of a corpus hold the same kinds of text but never the same text, and cut at a fixed size.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import adversarial, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from benchmarks.sources import Document

MEGABYTE = 1_000_000
PARAMETER_TYPES = ("string", "number", "boolean")
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
    """Requests as an OpenAI client sends them, one JSON object a line, of English, code and tool calls."""
    rng = random.Random(20251121)
    prose, code = _paragraphs(_english()), _paragraphs(_code())
    tools = [_tool(rng, next(prose)) for _ in range(40)]
    while True:
        messages: list[dict[str, object]] = [{"role": "system", "content": next(prose)}]
        for _ in range(rng.randrange(1, 5)):
            messages += _turn(rng, prose, code, tools)
        yield json.dumps(
            {"model": "gpt-oss-20b", "messages": messages, "tools": rng.sample(tools, rng.randrange(3))},
            ensure_ascii=False,
        )


def _paragraphs(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        lines = text.split("\n")
        for start in range(0, len(lines), 12):
            if paragraph := "\n".join(lines[start : start + 12]).strip():
                yield paragraph


def _tool(rng: random.Random, description: str) -> dict[str, object]:
    words = [word for word in description.lower().split() if word.isalpha()] or ["look", "up"]
    properties = {
        f"{word}_{kind}": {"type": kind, "description": " ".join(rng.sample(words, min(6, len(words))))}
        for word, kind in zip(rng.sample(words, min(3, len(words))), PARAMETER_TYPES, strict=False)
    }
    parameters = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    name = "_".join(words[:2])
    return {
        "type": "function",
        "function": {"name": name, "description": description[:200], "parameters": parameters},
    }


def _turn(
    rng: random.Random, prose: Iterator[str], code: Iterator[str], tools: list[dict[str, object]]
) -> list[dict[str, object]]:
    """What a user asks, perhaps a tool call with its result, and the answer."""
    question = next(prose).split("\n")[0]
    turn: list[dict[str, object]] = [{"role": "user", "content": question}]
    if rng.random() < 0.5:
        function = rng.choice(tools)["function"]
        assert isinstance(function, dict)
        arguments = {
            name: {"string": question[:40], "number": rng.randrange(10_000), "boolean": rng.random() < 0.5}[
                schema["type"]
            ]
            for name, schema in function["parameters"]["properties"].items()
        }
        call_id = f"call_{rng.getrandbits(96):024x}"
        call = {
            "id": call_id,
            "type": "function",
            "function": {"name": function["name"], "arguments": json.dumps(arguments)},
        }
        result = json.dumps(
            {"rows": [{"id": rng.getrandbits(32), "score": round(rng.random(), 6)} for _ in range(4)]}
        )
        turn.append({"role": "assistant", "content": None, "tool_calls": [call]})
        turn.append({"role": "tool", "tool_call_id": call_id, "content": result})
    answer = next(prose)
    if rng.random() < 0.4:
        answer += f"\n\n```python\n{next(code)}\n```\n"
    turn.append({"role": "assistant", "content": answer})
    return turn


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
