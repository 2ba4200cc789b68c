"""Say what is installed, whether it works, and what is missing for what.

  harmony-py doctor
  harmony-py doctor --json

The exit code is 1 if something that is installed does not work. Nothing is downloaded or changed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from typing import TYPE_CHECKING, Final, NamedTuple

from harmony_py.cli import FAILED
from harmony_py.cli.terminal import BOLD, RED, painted, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

EXTRAS: Final = {
    "torch": ("model", "the decode loop"),
    "llguidance": ("constrain", "masks for JSON Schemas"),
    "hypothesis": ("testing", "the test harness's random examples"),
    "jupyter_client": ("tools", "the notebook"),
    "mcp": ("mcp", "MCP servers"),
    "numpy": ("numpy", "ids as numpy arrays"),
    "pyarrow": ("parquet", "training shards from and to Parquet"),
    "ray": ("ray", "training shards on many machines"),
    "transformers": ("transformers", "running models by transformers"),
    "uvicorn": ("serve", "the server"),
}
"""What is optional: the extra that installs it, and what it is for."""

VARIABLES: Final = ("TIKTOKEN_ENCODINGS_BASE", "TIKTOKEN_CACHE_DIR", "TIKTOKEN_RS_CACHE_DIR", "NO_COLOR")


class Finding(NamedTuple):
    what: str
    good: bool | None
    """None: neither good nor bad, only good to know."""
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the findings as JSON")


def run(options: argparse.Namespace) -> int:
    found = list(findings())
    if options.json:
        write(json.dumps([finding._asdict() for finding in found]))
    else:
        for finding in found:
            mark = {True: "ok", False: painted("BAD", RED), None: "-"}[finding.good]
            write(f"{mark:<3} {painted(finding.what, BOLD)}: {finding.detail}")
    return FAILED if any(finding.good is False for finding in found) else 0


def findings() -> Iterator[Finding]:
    """Everything that is looked at, in turn."""
    from harmony_py.version import __version__

    where = f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}"
    yield Finding("harmony_py", None, f"{__version__} on {where}")
    yield _vocabulary()
    yield _round_trip()
    yield Finding("threads", None, f"{os.cpu_count()} cores")
    for package, (extra, purpose) in EXTRAS.items():
        yield _extra(package, extra, purpose)
    for variable in VARIABLES:
        if variable in os.environ:
            yield Finding(variable, None, os.environ[variable])


def _vocabulary() -> Finding:
    from harmony_py.errors import VocabularyError
    from harmony_py.tokenizer import vocab

    try:
        vocab.to_tiktoken()
    except VocabularyError as problem:
        return Finding("vocabulary", False, str(problem))
    return Finding("vocabulary", True, f"embedded, sha256 {vocab.SHA256}")


def _round_trip() -> Finding:
    from harmony_py.chat import Message, Role
    from harmony_py.format.encoding import load_harmony_encoding

    text = "héllo, 世界 👋 <|end|>"
    encoding = load_harmony_encoding()
    rendered = encoding.render(Message.from_role_and_content(Role.USER, text))
    [message] = encoding.parse(rendered).messages
    good = message.text == text
    return Finding("render and parse", good, "text comes back as it was" if good else f"{message.text!r}")


def _extra(package: str, extra: str, purpose: str) -> Finding:
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return Finding(package, None, f"not installed; for {purpose}: pip install 'harmony-py[{extra}]'")
    try:
        __import__(package)
    except Exception as problem:
        return Finding(package, False, f"{version} is installed but does not import: {problem}")
    return Finding(package, True, f"{version}, for {purpose}")
