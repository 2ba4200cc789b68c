"""How the o200k_harmony tokenizer sees a text: `python examples/show_tokens.py [TEXT]`.

On a terminal each token has a background of its own and control tokens stand out; in a pipe there is one
token a line, its id and its text.
"""

from __future__ import annotations

import sys
from itertools import cycle

from harmony_py import Tokenizer

SAMPLE = """\
<|start|>user<|message|>What's the weather in São Paulo, 東京 and Łódź? ☀️<|end|>\
<|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>\
{"cities": ["São Paulo", "東京", "Łódź"], "days": 3}<|call|>"""

BACKGROUNDS = (24, 60, 94, 65)
CONTROL = "\x1b[1;30;48;5;214m"
RESET = "\x1b[0m"


def main() -> None:
    """Tokenizes the first argument, or a sample conversation, and shows it."""
    tokenizer = Tokenizer.o200k_harmony()
    text = sys.argv[1] if len(sys.argv) > 1 else SAMPLE
    ids = tokenizer.encode(text, allowed_special="all")
    if sys.stdout.isatty():
        print(in_colour(tokenizer, ids))
    else:
        for token in ids:
            print(f"{token:6}  {spelled(tokenizer, token)!r}")
    print(f"\n{len(text)} characters, {len(ids)} tokens; decoded again, they are the same text:", end=" ")
    print("yes" if tokenizer.decode(ids) == text else "no")


def in_colour(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The text, a background for each token. Bytes that are no character by themselves show as `�`."""
    shown = []
    for token, background in zip(ids, cycle(BACKGROUNDS), strict=False):
        colour = CONTROL if tokenizer.is_special_token(token) else f"\x1b[97;48;5;{background}m"
        # A background must not run on to the end of the line.
        shown.append(f"{colour}{spelled(tokenizer, token)}{RESET}".replace("\n", f"↵{RESET}\n{colour}"))
    return "".join(shown)


def spelled(tokenizer: Tokenizer, token: int) -> str:
    """The token's text."""
    return tokenizer.decode([token])


if __name__ == "__main__":
    main()
