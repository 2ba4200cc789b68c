"""Show tokens, parses and malformations on one local web page, or write that page to a file.

  harmony-py inspector
  harmony-py inspector conversation.json
  harmony-py inspector --export page.html conversation.json

The page is served to this machine alone, at an address that holds a secret, until Ctrl-C. A file is a
conversation or a request to OpenAI's APIs in JSON, token ids, or text that spells its control tokens; `-` is
the standard input. An exported page needs neither this package nor a network.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from harmony_py.cli.inputs import STDIN, read_text
from harmony_py.cli.terminal import write
from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    import argparse

    from harmony_py.inspector.examples import Example


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from harmony_py.inspector.source import Kind

    parser.add_argument(
        "file", nargs="?", help="what to look at first (default: a conversation with the toy)"
    )
    parser.add_argument("--kind", choices=get_args(Kind), help="what the file holds (default: as it looks)")
    parser.add_argument("--export", metavar="HTML", help="write the page to this file, and serve nothing")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("--json", action="store_true", help="the address, or the file and its size, as JSON")


def run(options: argparse.Namespace) -> int:
    from harmony_py.inspector.examples import all_examples, conversations

    given = [_example(options)] if options.file is not None else []
    if options.export is not None:
        return _export(options, given or [next(conversations())])
    return _serve(options, [*given, *all_examples()])


def _example(options: argparse.Namespace) -> Example:
    """The file as an example. What it holds must be readable, so that a mistake shows here."""
    from harmony_py.inspector.examples import Example
    from harmony_py.inspector.source import Source, SourceError, guess, open_source

    text = read_text(options.file)
    kind = options.kind or guess(text)
    # One line break at the end is the editor's or echo's, not the model's.
    text = text.removesuffix("\n") if kind in ("text", "stripped") else text
    begins = text.lstrip("[ \n\t").startswith(("<|start|>", _start()))
    source = Source(
        kind=kind,
        text=text,
        role="none" if begins else "assistant",
        render="prompt" if kind == "request" else "whole",
    )
    try:
        open_source(source)
    except HarmonyError as problem:
        raise SourceError(options.file, str(problem)) from None
    name = "standard input" if options.file == STDIN else Path(options.file).name
    return Example("Given", name, source)


def _start() -> str:
    from harmony_py.tokenizer.special import START

    return str(START)


def _export(options: argparse.Namespace, examples: list[Example]) -> int:
    from harmony_py.inspector import export

    html = export(examples).encode()
    try:
        Path(options.export).write_bytes(html)
    except OSError as problem:
        raise HarmonyError(f"{options.export}: {problem.strerror}") from None
    if options.json:
        write(json.dumps({"file": options.export, "bytes": len(html)}))
    else:
        write(f"{options.export}: {len(html):,} bytes")
    return 0


def _serve(options: argparse.Namespace, examples: list[Example]) -> int:
    from harmony_py.inspector import Inspector

    try:
        with Inspector(examples, options.port) as inspector:
            write(json.dumps({"url": inspector.url}) if options.json else f"The page is at {inspector.url}")
            sys.stdout.flush()
            if options.open:
                import webbrowser

                webbrowser.open(inspector.url)
            threading.Event().wait()
    except KeyboardInterrupt:
        pass  # which is how it ends
    return 0
