"""What commands read: files or the standard input, with errors that name the place."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harmony_py.errors import HarmonyError, PlacedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harmony_py.chat import Conversation
    from harmony_py.tokenizer import Tokenizer

STDIN: Final = "-"

BYTE_ORDER_MARK: Final = "\ufeff"
"""Some editors and shells write it before what they save, JSON too. It is no part of that."""

_SEPARATORS: Final = re.compile(r"[\s,]+")


def at_least(least: int) -> Callable[[str], int]:
    """For `argparse`: whole numbers from `least`."""

    def number(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least}, found {text[:40]!r}")
        return int(text)

    return number


def write_text(name: str, text: str) -> None:
    """Write the file `name`; what cannot be encoded is spelled out."""
    try:
        Path(name).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as problem:
        raise HarmonyError(f"{name}: {problem.strerror}") from None


def read_lines() -> Iterator[str]:
    """The lines of the standard input as they come, without their ends."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as problem:
            place = f"{STDIN}: line {number}, byte {problem.start}"
            raise HarmonyError(f"{place} is not UTF-8: {problem.reason}") from None


def read_text(name: str) -> str:
    """The text of the file `name`, or of the standard input for `-`. Line ends stay as they are."""
    try:
        data = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as problem:
        raise HarmonyError(f"{name}: {problem.strerror}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise HarmonyError(f"{name}: byte {problem.start} is not UTF-8: {problem.reason}") from None


def read_conversation(name: str) -> Conversation:
    """The conversation in a JSON file: `{"messages": [...]}` or the list alone."""
    from harmony_py.chat import reading

    try:
        return reading.read_conversation(_json(name, read_text(name)))
    except PlacedError as problem:
        raise HarmonyError(f"{name}: {problem}") from None


def add_token_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that `read_tokens` understands."""
    parser.add_argument("file", nargs="?", default=STDIN, help="ids: a JSON list, or numbers with spaces")
    parser.add_argument("--text", action="store_true", help="the file holds text with spelled control tokens")


def read_tokens(options: argparse.Namespace, tokenizer: Tokenizer) -> list[int]:
    """The ids in the file that `options` name."""
    text = read_text(options.file)
    if options.text:
        # One line break at the end is the editor's or echo's, not the model's.
        return tokenizer.encode(text.removesuffix("\n"), allowed_special="all")
    return _ids(options.file, text.removeprefix(BYTE_ORDER_MARK))


def _ids(name: str, text: str) -> list[int]:
    if text.lstrip().startswith("["):
        found = _json(name, text)
        for index, value in enumerate(found):
            if not isinstance(value, int) or isinstance(value, bool):
                raise HarmonyError(f"{name}: item {index}: expected a token id, found {value!r}")
        return list(found)
    words = [word for word in _SEPARATORS.split(text) if word]
    for index, word in enumerate(words):
        if not re.fullmatch(r"-?[0-9]{1,20}", word):
            raise HarmonyError(
                f"{name}: word {index + 1}: expected a token id, found {word[:40]!r}; for text give --text"
            )
    return [int(word) for word in words]


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text.removeprefix(BYTE_ORDER_MARK))
    except (ValueError, RecursionError) as problem:
        raise HarmonyError(f"{name}: no JSON: {problem}") from None
