"""What holds of every implementation of the format, as plain functions.

Each takes an implementation and an example, returns nothing, and raises `InvariantViolated` with the example
in it where the implementation does otherwise, crashes included. `NotSupportedError` passes through: it is no
verdict. Nothing here needs pytest or hypothesis; `harmony_py.testing.conformance` brings the examples.
"""

from __future__ import annotations

from harmony_py.testing.invariants.malformed import (
    malformed_streams_are_recovered,
    malformed_streams_are_refused_or_read,
    prompts_are_resumed,
    refusals_are_forgotten,
    repairs_are_reported_where_they_are,
    spelling_is_no_structure,
    stripped_text_is_recovered,
)
from harmony_py.testing.invariants.parsing import (
    any_stream_is_survived,
    parsed_messages_render_to_their_tokens,
    spans_are_the_tokens,
    well_formed_streams_are_read,
)
from harmony_py.testing.invariants.rendering import (
    everyone_is_nobody,
    headers_cannot_be_forged,
    messages_survive_a_dump,
    prompts_end_in_an_open_header,
    prompts_grow_at_their_end,
    rendered_conversations_read_back,
    tools_cannot_declare_others,
    training_keeps_the_last_thoughts,
)
from harmony_py.testing.invariants.streaming import (
    deltas_are_the_text,
    streams_may_be_cut_anywhere,
    streams_read_like_the_whole,
)
from harmony_py.testing.invariants.text import text_comes_back, text_is_never_control
from harmony_py.testing.invariants.violation import InvariantViolated

__all__ = [
    "InvariantViolated",
    "any_stream_is_survived",
    "deltas_are_the_text",
    "everyone_is_nobody",
    "headers_cannot_be_forged",
    "malformed_streams_are_recovered",
    "malformed_streams_are_refused_or_read",
    "messages_survive_a_dump",
    "parsed_messages_render_to_their_tokens",
    "prompts_are_resumed",
    "prompts_end_in_an_open_header",
    "prompts_grow_at_their_end",
    "refusals_are_forgotten",
    "rendered_conversations_read_back",
    "repairs_are_reported_where_they_are",
    "spans_are_the_tokens",
    "spelling_is_no_structure",
    "streams_may_be_cut_anywhere",
    "streams_read_like_the_whole",
    "stripped_text_is_recovered",
    "text_comes_back",
    "text_is_never_control",
    "tools_cannot_declare_others",
    "training_keeps_the_last_thoughts",
    "well_formed_streams_are_read",
]
