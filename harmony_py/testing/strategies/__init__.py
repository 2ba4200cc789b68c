"""Hypothesis strategies for everything that the harmony format is about.

A name is a strategy; a function, where there is something to choose, makes one. What they give is plain data:
texts, JSON Schemas, messages in the flat form of `Message.to_dict`, lists of ids. `messages` and
`conversations` give `Message` and `Conversation`; with the entry point installed, so does `from_type`.
Everything shrinks to few, short and plain things.
"""

from __future__ import annotations

from harmony_py.testing.extras import require

require("hypothesis", "harmony_py.testing.strategies")

from harmony_py.testing.strategies.conversations import (  # noqa: E402  # hypothesis comes first
    conversations,
    dialogues,
    messages,
)
from harmony_py.testing.strategies.flat import (  # noqa: E402
    channels,
    flat_conversations,
    flat_messages,
    hostile_messages,
    hostile_words,
)
from harmony_py.testing.strategies.schemas import (  # noqa: E402
    json_schemas,
    json_values,
    lossless_schemas,
    odd_schemas,
)
from harmony_py.testing.strategies.streams import (  # noqa: E402
    any_stream,
    chunks,
    decodable_tokens,
    header_stream,
    malformed,
    prose_tokens,
    roles,
    text_tokens,
    well_formed,
)
from harmony_py.testing.strategies.text import (  # noqa: E402
    chunked,
    combining_marks,
    prose,
    runs,
    spelled_tokens,
    surrogates,
    texts,
    texts_with_surrogates,
)
from harmony_py.testing.strategies.tools import arguments, instances, parameters, tools  # noqa: E402

__all__ = [
    "any_stream",
    "arguments",
    "channels",
    "chunked",
    "chunks",
    "combining_marks",
    "conversations",
    "decodable_tokens",
    "dialogues",
    "flat_conversations",
    "flat_messages",
    "header_stream",
    "hostile_messages",
    "hostile_words",
    "instances",
    "json_schemas",
    "json_values",
    "lossless_schemas",
    "malformed",
    "messages",
    "odd_schemas",
    "parameters",
    "prose",
    "prose_tokens",
    "roles",
    "runs",
    "spelled_tokens",
    "surrogates",
    "text_tokens",
    "texts",
    "texts_with_surrogates",
    "tools",
    "well_formed",
]
