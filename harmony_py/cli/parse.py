"""Parse what a model wrote, and show its messages.

  harmony-py parse --policy recover ids.json
  echo '<|channel|>final<|message|>Hi.<|return|>' | harmony-py parse --text
  harmony-py parse --role none --json prompt-and-answer.json

Tokens are a JSON list, or numbers with spaces between them. The exit code is 1 if the stream is malformed and
the policy strict; then the messages up to there are shown, and the error names the token.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from harmony_py.cli import FAILED
from harmony_py.cli.inputs import add_token_arguments, read_tokens
from harmony_py.cli.terminal import BOLD, CHANNEL_COLOURS, DIM, RED, harmless, painted, pointed_at, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from harmony_py.chat import Message
    from harmony_py.errors import ParseError
    from harmony_py.format.events import Diagnostic

NO_ROLE = "none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_token_arguments(parser)
    parser.add_argument("--policy", choices=["strict", "recover"], default="strict")
    add_role_argument(parser)
    parser.add_argument("--tool", action="append", metavar="NAME", help="a tool's full name: functions.f")
    parser.add_argument("--json", action="store_true", help="messages, spans and diagnostics as JSON")


def add_role_argument(parser: argparse.ArgumentParser) -> None:
    """Whose message begins, as commands that read tokens take it."""
    from harmony_py.chat import Role

    roles = [*(role.value for role in Role), NO_ROLE]
    parser.add_argument(
        "--role", choices=roles, default="assistant", help="whose message begins (default assistant)"
    )


def run(options: argparse.Namespace) -> int:
    from harmony_py.errors import ParseError
    from harmony_py.format.encoding import load_harmony_encoding

    encoding = load_harmony_encoding()
    tokens = read_tokens(options, encoding.tokenizer)
    role = None if options.role == NO_ROLE else options.role
    try:
        found = encoding.parse(tokens, role, policy=options.policy, tools=options.tool)
    except ParseError as problem:
        if options.json:
            write(json.dumps({"messages": _plain(problem.messages), **_fault(problem)}))
        else:
            _show(problem.messages, [])
            print(painted(f"malformed: {problem}", RED, sys.stderr), file=sys.stderr)
            print(pointed_at(encoding.tokenizer, tokens, problem.token_index), file=sys.stderr)
        return FAILED
    if options.json:
        write(
            json.dumps(
                {
                    "messages": _plain(found.messages),
                    "spans": [span._asdict() for span in found.spans],
                    "diagnostics": [diagnostic._asdict() for diagnostic in found.diagnostics],
                    "pending": list(found.pending.tokens) if found.pending else [],
                }
            )
        )
    else:
        _show(found.messages, found.diagnostics)
    return 0


def _fault(problem: ParseError) -> dict[str, Any]:
    return {
        "error": str(problem),
        "token_index": problem.token_index,
        "token": problem.token,
        "state": problem.state,
        "expected": list(problem.expected),
    }


def _plain(messages: Iterable[Message]) -> list[dict[str, Any]]:
    return [message.to_dict() for message in messages]


def _show(messages: Iterable[Message], diagnostics: Iterable[Diagnostic]) -> None:
    for message in messages:
        write(f"{painted(_address(message), BOLD + CHANNEL_COLOURS.get(message.channel or '', ''))}")
        write(f"{harmless(message.text)}\n")
    for found in diagnostics:
        detail = f": {harmless(found.detail)}" if found.detail else ""
        write(painted(f"token {found.token_index}: {found.code}{detail}", DIM))


def _address(message: Message) -> str:
    """Author, channel, recipient and content type on one line."""
    name = f" {message.author.name}" if message.author.name else ""
    to = f" -> {message.recipient}" if message.recipient else ""
    channel = f" on {message.channel}" if message.channel else ""
    kind = f" ({message.content_type})" if message.content_type else ""
    return harmless(f"{message.author.role.value}{name}{channel}{to}{kind}")
