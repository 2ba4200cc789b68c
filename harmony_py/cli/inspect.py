"""Show what every token of a stream is: id, text, part of which message, and what may follow it.

  harmony-py inspect ids.json
  echo '<|channel|>final<|message|>Hi.<|return|>' | harmony-py inspect --text

Malformed streams are shown as recovery understands them; what it repaired stands beside the token.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from harmony_py.cli.inputs import add_token_arguments, read_tokens
from harmony_py.cli.terminal import CHANNEL_COLOURS, CONTROL, DIM, RED, harmless, painted, write
from harmony_py.tokenizer.special import N_VOCAB, START_OF_TEXT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from harmony_py.format.encoding import HarmonyEncoding

_TEXT = 28
"""Columns for a token's text."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from harmony_py.cli.parse import add_role_argument

    add_token_arguments(parser)
    add_role_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a token")


def run(options: argparse.Namespace) -> int:
    from harmony_py.format.encoding import load_harmony_encoding

    encoding = load_harmony_encoding()
    rows = _rows(encoding, read_tokens(options, encoding.tokenizer), options.role)
    if not options.json:
        write(f"{'#':>5} {'id':>7}  {'text':<{_TEXT}} {'part':<10} {'message':<8} what may follow")
    for row in rows:
        write(json.dumps(row, ensure_ascii=False) if options.json else _line(row))
    return 0


def _rows(encoding: HarmonyEncoding, tokens: list[int], role: str) -> Iterator[dict[str, Any]]:
    from harmony_py.cli.parse import NO_ROLE
    from harmony_py.format.grammar import expected

    asked = None if role == NO_ROLE else role
    result = encoding.parse(tokens, asked, policy="recover")
    spans = [span for span in result.spans for _ in range(span.start, span.end)]
    repairs: dict[int, list[str]] = {}
    for diagnostic in result.diagnostics:
        repairs.setdefault(diagnostic.token_index, []).append(diagnostic.code)
    parser = encoding.parser(asked, policy="recover")
    for index, (token, span) in enumerate(zip(tokens, spans, strict=True)):
        parser.process(token)
        message = result.messages[span.message] if span.message is not None else None
        yield {
            "index": index,
            "id": token,
            "text": encoding.decode([token]) if 0 <= token <= N_VOCAB else "\ufffd",
            "part": span.part,
            "message": span.message,
            "channel": message.channel if message else None,
            "state": parser.grammar_state.value,
            "next": list(expected(parser.grammar_state)),
            "repairs": repairs.get(index, []),
        }


def _line(row: dict[str, Any]) -> str:
    text = harmless(json.dumps(row["text"], ensure_ascii=False)[1:-1])
    text = text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"
    colour = CONTROL if row["id"] >= START_OF_TEXT else CHANNEL_COLOURS.get(row["channel"] or "", "")
    cell = painted(text, colour) if colour else text
    number = "" if row["message"] is None else str(row["message"])
    repairs = painted(f"  {', '.join(row['repairs'])}", RED) if row["repairs"] else ""
    follow = painted(" ".join(row["next"]), DIM, sys.stdout)
    return (
        f"{row['index']:>5} {row['id']:>7}  {cell}{' ' * (_TEXT - len(text))} "
        f"{row['part']:<10} {number:<8} {follow}{repairs}"
    )
