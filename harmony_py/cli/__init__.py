"""The command `harmony-py`: one subcommand a module, loaded when it is called.

A subcommand is a module of this package with a function `add_arguments(parser)` and a function
`run(options) -> int`, whose result is the exit code, and a line in `COMMANDS`. What it needs it imports
itself, so that `harmony-py --help` loads nothing. Its docstring is its help: what it does, and examples,
which a test runs. What several of them need has modules of its own: `inputs`, `terminal`; `models`,
`functions`, `opening` and `transcript` for conversations.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Final

from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "demo": "a tiny model holds a conversation with a tool call",
    "chat": "talk with a model: the toy, a checkpoint, a server",
    "tokenize": "show or count the tokens of text",
    "render": "a conversation to tokens",
    "parse": "tokens to messages",
    "inspect": "what every token of a stream is",
    "inspector": "the same and more on a local web page",
    "shards": "conversations to training shards: ids, loss mask, bounds",
    "serve": "OpenAI's APIs on this machine, over any engine",
    "conform": "test an implementation of the harmony format: ours, openai-harmony, your own",
    "bench": "how fast it is on this machine, beside what else is installed",
    "vocab": "the vocabulary as a file, so that other libraries work offline",
    "doctor": "what is installed, and whether it works",
}

FAILED: Final = 1
"""The exit code where the answer is no."""

MISUSED: Final = 2
"""The exit code where nothing could be asked: wrong arguments, or something is not installed."""

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""

CUT_OFF: Final = 141
"""The exit code where nobody reads the output any more, as shells have it."""

EXIT_CODES: Final = f"""\
exit codes:
  {0:>3}  done
  {FAILED:>3}  the answer is no
  {MISUSED:>3}  nothing could be asked: wrong arguments, an unreadable file, something not installed
  {INTERRUPTED:>3}  interrupted
  {CUT_OFF:>3}  nobody reads the output any more"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that `arguments` name, by default those of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _open_closed_streams()
    try:
        try:
            return _run(given)
        finally:
            # Whether somebody still reads is found out here, not while Python ends.
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return CUT_OFF
    except OSError as problem:
        _complain(given[0] if given else "", str(problem))  # a full disk, say
        _discard_output()
        return MISUSED
    except KeyboardInterrupt:
        return INTERRUPTED


def _open_closed_streams() -> None:
    """Standard streams that the process was started without hold nothing, and keep nothing."""
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _run(given: list[str]) -> int:
    if not given or given[0] not in (*COMMANDS, "--version"):
        return _explain(given)
    name, *rest = given
    try:
        if name == "--version":
            from harmony_py.version import __version__

            print(f"harmony-py {__version__}")
            return 0
        command = importlib.import_module(f"harmony_py.cli.{name}")
        title = f"harmony-py {name}"
        parser = argparse.ArgumentParser(title, description=command.__doc__, epilog=EXIT_CODES)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        command.add_arguments(parser)
        return int(command.run(parser.parse_args(rest)))
    except HarmonyError as problem:
        _complain(name, str(problem))
    except ImportError as problem:
        _complain(name, _missing(problem))
    return MISUSED


def _complain(name: str, problem: str) -> None:
    from harmony_py.cli.terminal import harmless

    print(f"harmony-py {name}: {harmless(problem)}", file=sys.stderr)


def _missing(problem: ImportError) -> str:
    """What is not installed, and the extra that installs it."""
    from harmony_py.cli.doctor import EXTRAS

    # Another `ImportError` is one of ours, and says it already.
    extra = EXTRAS.get(problem.name or "") if isinstance(problem, ModuleNotFoundError) else None
    return f"{problem}; it comes with pip install 'harmony-py[{extra[0]}]'" if extra else str(problem)


def _discard_output() -> None:
    """Nothing more is written, not even what Python would still write as it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(given: list[str]) -> int:
    asked = given[:1] in (["-h"], ["--help"])
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    if given and not asked:
        lines.insert(0, f"harmony-py: no command is called {given[0]!r}; there are:")
    else:
        lines = [
            "usage: harmony-py COMMAND [options], or --version",
            "",
            *lines,
            "",
            "Each has its own --help.",
            "",
            EXIT_CODES,
        ]
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else MISUSED
