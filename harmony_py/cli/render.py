"""Render a conversation to tokens.

  harmony-py render conversation.json
  harmony-py render --training --json conversation.json > sample.json
  echo '[{"role": "user", "content": "Hi"}]' | harmony-py render --text

The conversation is JSON: `{"messages": [...]}` or the list alone, as `Conversation.to_dict` writes it. In a
pipe there are the ids on one line, on a terminal the text that they spell.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from harmony_py.cli.inputs import STDIN, read_conversation
from harmony_py.cli.terminal import harmless, in_colour, tokens_in_colour, write

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from typing import get_args

    from harmony_py.format.retention import PolicyName

    parser.add_argument("file", nargs="?", default=STDIN, help="the conversation's file (default: stdin)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--training", action="store_true", help="as a training sample, with its loss mask")
    kind.add_argument("--history", action="store_true", help="the messages alone, no header to continue")
    parser.add_argument("--analysis", choices=get_args(PolicyName), help="which old thoughts are left out")
    parser.add_argument("--text", action="store_true", help="show the text that the tokens spell")
    parser.add_argument("--json", action="store_true", help="tokens, spans and loss mask as JSON")


def run(options: argparse.Namespace) -> int:
    from harmony_py.chat import Role
    from harmony_py.format.config import RenderConfig
    from harmony_py.format.encoding import load_harmony_encoding

    encoding = load_harmony_encoding()
    config = RenderConfig(analysis=options.analysis) if options.analysis else None
    rendered = encoding.render_detailed(
        read_conversation(options.file),
        next_turn_role=None if options.training or options.history else Role.ASSISTANT,
        training=options.training,
        config=config,
    )
    if options.json:
        spans = [{**span._asdict(), "role": span.role.value} for span in rendered.spans]
        write(json.dumps({"tokens": rendered.tokens, "spans": spans, "loss_mask": rendered.loss_mask}))
    elif in_colour(sys.stdout):
        write(tokens_in_colour(encoding.tokenizer, rendered.tokens))
    elif options.text or sys.stdout.isatty():
        write(harmless(encoding.decode(rendered.tokens)))
    else:
        write(" ".join(map(str, rendered.tokens)))
    return 0
