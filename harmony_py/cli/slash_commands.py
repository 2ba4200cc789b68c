"""What a line that begins with a slash does in `harmony-py chat`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmony_py.cli.inputs import write_text
from harmony_py.cli.opening import EFFORTS, as_models_write
from harmony_py.cli.terminal import DIM, harmless, in_colour, painted, tokens_in_colour, write
from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    from harmony_py.chat import Message
    from harmony_py.cli.chat import Talk

HELP = """\
/effort low|medium|high   how long it thinks from now on
/new                      begin anew
/save FILE                write the conversation as JSON, which `harmony-py render` reads
/tokens                   show the tokens of the next prompt
/thoughts                 show thoughts, or stop showing them
/quit                     leave"""


def run(talk: Talk, line: str) -> bool:
    """Do what `line` says. False if the user leaves."""
    name, _, argument = line[1:].partition(" ")
    argument = argument.strip()
    if name in ("quit", "exit"):
        return False
    if name == "new":
        talk.begin()
        _tell("a new conversation")
    elif name == "effort" and argument in EFFORTS:
        talk.begin(with_effort(talk.messages, argument))
        _tell(f"effort: {argument}")
    elif name == "thoughts":
        _tell(_switch_thoughts(talk.transcript))
    elif name == "tokens":
        _show_tokens(talk.messages)
    elif name == "save" and argument:
        _tell(_save(talk.messages, Path(argument).expanduser()))
    else:
        if name != "help":
            _tell(f"no such command: {line}")
        _tell(HELP)
    return True


def with_effort(messages: tuple[Message, ...], effort: str) -> list[Message]:
    """The same conversation, whose system message asks for another effort."""
    from harmony_py.chat import Message, Role, SystemContent

    system, *rest = messages
    [content] = system.content
    assert isinstance(content, SystemContent)
    changed = content.model_copy().with_reasoning_effort(effort)
    return [Message.from_role_and_content(Role.SYSTEM, changed), *rest]


def _show_tokens(messages: tuple[Message, ...]) -> None:
    from harmony_py.format.encoding import load_harmony_encoding

    encoding = load_harmony_encoding()
    tokens = encoding.render_conversation_for_completion(messages, config=as_models_write())
    coloured = in_colour(sys.stdout)
    write(tokens_in_colour(encoding.tokenizer, tokens) if coloured else harmless(encoding.decode(tokens)))
    _tell(f"{len(tokens)} tokens")


def _switch_thoughts(transcript: Any) -> str:
    transcript.thoughts = not transcript.thoughts
    return "thoughts are shown" if transcript.thoughts else "thoughts are hidden"


def _save(messages: tuple[Message, ...], path: Path) -> str:
    found = {"messages": [message.to_dict() for message in messages]}
    try:
        write_text(str(path), json.dumps(found, indent=1))
    except HarmonyError as problem:
        return str(problem)
    return f"{len(messages)} messages in {path}"


def _tell(text: str) -> None:
    write(painted(text, DIM))
