"""A tiny model holds a conversation with a tool call: first the tokens it is asked with, then what it says.

  harmony-py demo
  harmony-py demo --effort high "What is the weather in Paris?"
  harmony-py demo --json

Everything is genuine but the size: rendered, decoded by the bundled loop, parsed as it streams, the tool
called, its result read back. What the model knows is in docs/toy.md. Channels have colours on a terminal;
`harmony-py chat` lets you ask. Needs the extra `model`; offline.
"""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING, Final

from harmony_py.cli.opening import EFFORTS, as_models_write, opening
from harmony_py.cli.terminal import DIM, harmless, in_colour, painted, tokens_in_colour, write

if TYPE_CHECKING:
    import argparse

    from harmony_py.chat import Message
    from harmony_py.cli.transcript import Transcript
    from harmony_py.format.encoding import HarmonyEncoding

QUESTIONS: Final = (
    "Hello!",
    "What is the weather in Tokyo?",
    "And in San Francisco?",
    "What is 3 + 4?",
)


def get_weather(city: str) -> dict[str, object]:
    """Tells the weather in a city."""
    # As good as any for a toy: the same one each time you ask.
    chance = random.Random(city.strip())
    return {"degrees": chance.randint(-5, 35), "sky": chance.choice(["sunny", "cloudy", "rainy", "windy"])}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "questions", nargs="*", default=QUESTIONS, metavar="QUESTION", help="instead of its own"
    )
    parser.add_argument("--effort", choices=EFFORTS, default="medium", help="how long it thinks")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line: the prompt, then every event"
    )


def run(options: argparse.Namespace) -> int:
    from harmony_py.cli import functions, models
    from harmony_py.cli.transcript import Logged, Shown
    from harmony_py.engines.chat import Chat
    from harmony_py.format.encoding import load_harmony_encoding

    tool = functions.of(get_weather)
    messages = opening(options.effort, None, [tool.description])
    _show_prompt(load_harmony_encoding(), messages, options.questions[0], options.json)
    model = models.open_checkpoint(models.TOY, {})
    transcript: Transcript = Logged() if options.json else Shown(figures=model.figures)
    chat = Chat(model.engine, messages, {tool.description.name: tool.call}, sampling=model.sampling)
    for question in options.questions:
        if not options.json:
            write("")
        transcript.said(question)
        for event in chat.send(question):
            transcript.event(event)
    return 0


def _show_prompt(encoding: HarmonyEncoding, opening: list[Message], question: str, as_json: bool) -> None:
    """The tokens that the first question is asked with."""
    from harmony_py.chat import Message, Role

    asked = [*opening, Message.from_role_and_content(Role.USER, question)]
    tokens = encoding.render_conversation_for_completion(asked, config=as_models_write())
    if as_json:
        write(json.dumps({"event": "prompt", "tokens": tokens, "text": encoding.decode(tokens)}))
        return
    write(painted(f"What the model is asked with first, {len(tokens)} tokens:", DIM))
    write("")
    coloured = in_colour(sys.stdout)
    write(tokens_in_colour(encoding.tokenizer, tokens) if coloured else harmless(encoding.decode(tokens)))
    sys.stdout.flush()
