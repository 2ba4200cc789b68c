"""The command `harmony-py`: one subcommand a module, loaded when it is called.

A subcommand is a module of this package with a function `add_arguments(parser)` and a function
`run(options) -> int`, whose result is the exit code, and a line in `COMMANDS`. What it needs it imports
itself, so that `harmony-py --help` loads nothing.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Final

from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "tokenize": "show or count the tokens of text",
    "render": "a conversation to tokens",
    "parse": "tokens to messages",
    "inspect": "what every token of a stream is",
    "serve": "OpenAI's APIs on this machine, over any engine",
    "conform": "test an implementation of the harmony format: ours, openai-harmony, your own",
    "vocab": "the vocabulary as a file, so that other libraries work offline",
    "doctor": "what is installed, and whether it works",
}

FAILED: Final = 1
"""The exit code where the answer is no."""

MISUSED: Final = 2
"""The exit code where nothing could be asked: wrong arguments, or something is not installed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that `arguments` name, by default those of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in COMMANDS:
        return _explain(given)
    name, *rest = given
    command = importlib.import_module(f"harmony_py.cli.{name}")
    parser = argparse.ArgumentParser(f"harmony-py {name}", description=command.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_arguments(parser)
    try:
        return int(command.run(parser.parse_args(rest)))
    except (HarmonyError, ImportError) as problem:
        print(f"harmony-py {name}: {problem}", file=sys.stderr)
        return MISUSED


def _explain(given: list[str]) -> int:
    asked = given[:1] in (["-h"], ["--help"])
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    if given and not asked:
        lines.insert(0, f"harmony-py: no command is called {given[0]!r}; there are:")
    else:
        lines = ["usage: harmony-py COMMAND [options]", "", *lines, "", "Each has its own --help."]
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else MISUSED
