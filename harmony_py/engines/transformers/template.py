"""`response_template()`: what makes `tokenizer.parse_response` of transformers read harmony."""

from __future__ import annotations

from typing import Any, Final

# The text of a header, from the role on. A field is named once and may stand on either side of the channel.
_CHANNEL: Final = r"<\|channel\|>\w+"
_TO: Final = r"\s*to=(?:functions\.)?(?P<name>[^\s<]+)"
_TYPE: Final = r"(?:\s*(?:<\|constrain\|>)?\s*\w+)?"
_MESSAGE: Final = r"<\|message\|>"
_ENDS: Final = ["<|end|>", "<|return|>", "<|call|>"]


def response_template(*, join: str | None = "\n") -> dict[str, Any]:
    """The template: `reasoning_content`, `content` and `tool_calls` of what a model wrote in a turn.

    Several thoughts, and a preamble and the answer, are joined by `join`; with None, for hosts that do not
    know how to, they come as lists. Arguments that are no JSON come as the text they are. Names of functions
    come without `functions.`; those of other tools whole.

    It reads text, so content that spells a control token is taken for one; and it drops what is malformed.
    `harmony_py.format.parse` does neither.
    """
    text: dict[str, Any] = {"close": _ENDS, "content": "text", "content_args": {"strip": False}}
    texts: dict[str, Any] = {**text, "repeats": True, **({} if join is None else {"join": join})}
    return {
        "version": 1,
        "defaults": {"role": "assistant"},
        "start_anchor": "<|start|>assistant",
        "fields": {
            "reasoning_content": {"open_pattern": rf"<\|channel\|>analysis{_TYPE}{_MESSAGE}", **texts},
            "content": {"open_pattern": rf"<\|channel\|>(?:final|commentary){_TYPE}{_MESSAGE}", **texts},
            "tool_calls": {
                "open_pattern": rf"(?:{_CHANNEL})?{_TO}(?:{_CHANNEL})?{_TYPE}{_MESSAGE}",
                "close": _ENDS,
                "content": "json",
                "content_args": {"allow_non_json": True},
                "repeats": True,
                "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}},
            },
        },
    }
