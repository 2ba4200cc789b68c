"""Talk with a model: the toy, a checkpoint, or a server that completes raw prompts.

  echo "What is 3 + 4?" | harmony-py chat
  harmony-py chat --model ~/models/gpt-oss-20b --effort high --system "Answer in French."
  harmony-py chat --url http://localhost:8000 --model openai/gpt-oss-20b --tool tools.py:get_weather

Thoughts are dim, calls and their results are shown. Ctrl-C stops an answer and keeps what came, Ctrl-D
leaves, /help lists the commands. From a pipe each line is one message of yours, and nothing in it is a
command; the exit code is then 1 if a turn came to an end by an error.

A tool is a function of a Python file: its docstring and annotations are what the model is told, its arguments
are checked against them. You are asked before each call; --yes runs them all, and from a pipe none runs
without it.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from harmony_py.cli.inputs import read_lines
from harmony_py.cli.opening import EFFORTS, as_models_write, opening
from harmony_py.cli.terminal import DIM, harmless, painted, write
from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from harmony_py.chat import Message
    from harmony_py.cli.functions import FunctionTool
    from harmony_py.cli.models import Opened
    from harmony_py.cli.transcript import Logged, Shown
    from harmony_py.engines.chat import ChatEvent

PROMPT: Final = f"{'you':<10}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from harmony_py.cli import models

    models.add_arguments(parser)
    parser.add_argument("--effort", choices=EFFORTS, default="medium", help="how long it thinks")
    parser.add_argument("--system", metavar="TEXT", help="instructions; they go into the developer's message")
    parser.add_argument(
        "--tool", action="append", default=[], metavar="FILE.py:FUNCTION", help="a function that it may call"
    )
    parser.add_argument("--yes", action="store_true", help="run tools without asking")
    parser.add_argument(
        "--hide-thoughts", action="store_true", help="do not show what is on channel analysis"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object an event and line")


def run(options: argparse.Namespace) -> int:
    from harmony_py.cli import FAILED, functions, models
    from harmony_py.cli.demo import get_weather
    from harmony_py.cli.transcript import Logged, Shown

    interactive = sys.stdin.isatty()
    is_toy = options.model == models.TOY and not options.url
    asks = interactive and not options.json
    tools = [_guarded(functions.load(place), options.yes, asks) for place in options.tool]
    if is_toy and not tools:
        tools = [functions.of(get_weather)]  # the one that it was taught to call
    model = models.open_model(options)
    transcript = (
        Logged() if options.json else Shown(thoughts=not options.hide_thoughts, figures=model.figures)
    )
    date = None if is_toy else time.strftime("%Y-%m-%d")
    messages = opening(options.effort, options.system, [tool.description for tool in tools], date)
    talk = Talk(model, transcript, messages, tools)
    if asks:
        talk.interact()
        return 0
    good = True
    for text in read_lines():
        if text:
            transcript.said(text)
            good &= talk.ask(text)
    return 0 if good else FAILED


class Talk:
    """A conversation with a model, and who shows it."""

    def __init__(
        self,
        model: Opened,
        transcript: Shown | Logged,
        messages: list[Message],
        tools: Sequence[FunctionTool] = (),
    ) -> None:
        self._model, self.transcript, self._opening = model, transcript, messages
        self._tools = {tool.description.name: tool.call for tool in tools}
        self.begin(messages)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far."""
        return self._chat.messages

    def begin(self, messages: Sequence[Message] | None = None) -> None:
        """Begin anew, with `messages` or those that it began with."""
        from harmony_py.engines.chat import Chat

        begun = self._opening if messages is None else messages
        sampling, config = self._model.sampling, as_models_write()
        self._chat = Chat(self._model.engine, begun, self._tools, sampling=sampling, config=config)

    def ask(self, text: str) -> bool:
        """Say `text` and show the answer. False if an error ended the turn, which it shows, too.

        `KeyboardInterrupt` comes through, but what came before it is part of the conversation.
        """
        events: Iterator[ChatEvent] = iter(())
        try:
            events = self._chat.send(text)
            for event in events:
                self.transcript.event(event)
        except KeyboardInterrupt:
            _close(events)
            self.transcript.stopped()
            raise
        except HarmonyError as problem:
            self.transcript.failed(str(problem))
            return False
        finally:
            _close(events)
        return True

    def interact(self) -> None:
        """Talk with somebody at a terminal until they leave."""
        from harmony_py.cli.slash_commands import run as run_command

        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  # lines can be edited then, and called back
        write(painted("Ctrl-C stops an answer, Ctrl-D leaves, /help lists the commands.", DIM))
        while True:
            try:
                line = input(f"\n{PROMPT}").strip()
                if line.startswith("/"):
                    if not run_command(self, line):
                        return
                elif line:
                    self.ask(line)
            except KeyboardInterrupt:
                write("")
            except UnicodeDecodeError as problem:
                write(f"that is not {problem.encoding}: {problem.reason}")
            except EOFError:
                write("")
                return


def _close(events: Iterator[ChatEvent]) -> None:
    if close := getattr(events, "close", None):
        close()


def _guarded(tool: FunctionTool, without_asking: bool, interactive: bool) -> FunctionTool:
    """The tool, which asks before it runs."""
    if without_asking:
        return tool

    def call(**arguments: Any) -> object:
        if not interactive:
            raise PermissionError("nobody is there to allow the call; --yes allows all")
        shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        question = harmless(f"run {tool.description.name}({shown})? [y/N] ")
        try:
            allowed = input(f"{'':<10}{question}").strip().lower() in ("y", "yes")
        except EOFError:
            allowed = False
        if not allowed:
            raise PermissionError("the user did not allow the call")
        return tool.call(**arguments)

    return tool._replace(call=_named(call, tool.description.name))


def _named(function: Callable[..., object], name: str) -> Callable[..., object]:
    function.__name__ = name
    return function
