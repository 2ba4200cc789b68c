"""A model that knows nothing, kept to a specification: `python examples/constrained.py [SEED]`.

Every token is drawn at random; only the mask makes a turn of them. Prints the turn as it was drawn, and what
the strict parser reads in it. Needs the extra `constrain`.
"""

from __future__ import annotations

import random
import sys

from harmony_py import Tokenizer, parse
from harmony_py.chat import ToolDescription
from harmony_py.constrain import Mask, TurnSpec, bits

TOKENIZER = Tokenizer.o200k_harmony()

WEATHER = ToolDescription.new(
    "weather",
    "The weather in a city.",
    {
        "type": "object",
        "properties": {
            "city": {"enum": ["Łódź", "São Paulo", "東京"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
SPEC = TurnSpec(
    [WEATHER], tool_choice="required", reasoning="required", preamble=False, max_analysis_tokens=12
)


def draw(mask: Mask, chance: random.Random) -> int:
    """One of the allowed tokens: often a control token, if there is one, and rather no whitespace."""
    allowed = list(bits.ids(mask.allowed()))
    controls = sorted(mask.legal_specials())
    if controls and chance.random() < 0.5:
        return chance.choice(controls)
    words = [token for token in allowed if not TOKENIZER.decode_single_token_bytes(token).isspace()]
    return chance.choice(words or allowed)


def main(arguments: list[str]) -> None:
    chance = random.Random(arguments[0] if arguments else "harmony")
    mask = Mask.from_spec(SPEC)
    tokens: list[int] = []
    while not mask.done:
        tokens.append(draw(mask, chance))
        mask.advance(tokens[-1])
    print(TOKENIZER.decode(tokens))
    messages = parse(tokens, "assistant").messages
    for message in messages:
        to = f" to {message.recipient}" if message.recipient else ""
        print(f"  {message.channel}{to}: {message.text!r}")
    print(f"  arguments: {messages[-1].arguments().value}")


if __name__ == "__main__":
    main(sys.argv[1:])
