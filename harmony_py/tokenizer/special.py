"""The control tokens: their ids and the stop sets. The only place where such a number stands."""

from __future__ import annotations

from typing import Final

START_OF_TEXT: Final = 199_998
END_OF_TEXT: Final = 199_999
RETURN: Final = 200_002
CONSTRAIN: Final = 200_003
CHANNEL: Final = 200_005
START: Final = 200_006
END: Final = 200_007
MESSAGE: Final = 200_008
CALL: Final = 200_012
END_OF_PROMPT: Final = 200_018

N_VOCAB: Final = 201_088
"""Rows of the models' embedding table: ids are `0 .. N_VOCAB - 1`."""

LAST_RESERVED: Final = 201_088
"""One id past the models' table. `openai-harmony` decodes it, so we do; nothing ever produces it."""

STOP_TOKENS: Final = frozenset({RETURN, END, CALL})
"""Any of these ends a message."""

ASSISTANT_ACTION_STOP_TOKENS: Final = frozenset({RETURN, CALL})
"""Any of these ends the assistant's turn: it answered, or it called a tool."""

SAMPLING_STOP_TOKENS: Final = ASSISTANT_ACTION_STOP_TOKENS | {END_OF_TEXT}
"""Where an engine stops drawing unless it is told otherwise."""

_NAMED: Final = {
    "<|startoftext|>": START_OF_TEXT,
    "<|endoftext|>": END_OF_TEXT,
    "<|return|>": RETURN,
    "<|constrain|>": CONSTRAIN,
    "<|channel|>": CHANNEL,
    "<|start|>": START,
    "<|end|>": END,
    "<|message|>": MESSAGE,
    "<|call|>": CALL,
}

END_OF_PROMPT_NAME: Final = "<|endofprompt|>"
"""tiktoken's second name for `<|reserved_200018|>`; `openai-harmony` does not know it."""


_RESERVED: Final = {
    f"<|reserved_{i}|>": i for i in range(START_OF_TEXT, LAST_RESERVED + 1) if i not in _NAMED.values()
}

SPECIAL_TOKENS: Final[dict[str, int]] = {END_OF_PROMPT_NAME: END_OF_PROMPT, **_NAMED, **_RESERVED}
"""Every control token by name. Of two names for one id, the later one is how `openai-harmony` spells it."""

DECODE_ONLY: Final[dict[str, int]] = {name: i for name, i in SPECIAL_TOKENS.items() if i >= N_VOCAB}
"""Control tokens that are decoded but that no text becomes, not even where every one is allowed."""

ENCODABLE: Final[dict[str, int]] = {
    name: i
    for name, i in [*_NAMED.items(), *_RESERVED.items(), (END_OF_PROMPT_NAME, END_OF_PROMPT)]
    if i < N_VOCAB
}
"""The control tokens that tiktoken knows. Of two names for one id, the later one is tiktoken's spelling."""
