"""How conversations are written down: every choice there is, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from harmony_py.chat import HeaderStyle
from harmony_py.chat.typescript import SchemaStyle
from harmony_py.errors import HarmonyError
from harmony_py.format.retention import PolicyName
from harmony_py.format.validate import OnInvalid

if TYPE_CHECKING:
    from harmony_py.format.retention import AnalysisPolicy

_WORDS: Final = {
    "analysis": get_args(PolicyName),
    "header_style": get_args(HeaderStyle),
    "schema_style": get_args(SchemaStyle),
    "on_invalid": get_args(OnInvalid),
}
"""What the fields of a `RenderConfig` that hold a word may hold."""


@dataclass(frozen=True)
class RenderConfig:
    """The defaults are what serves the models best; `UPSTREAM` is what `openai-harmony` 0.0.8 does."""

    analysis: AnalysisPolicy = "previous_turns"
    """Which old thoughts are left out; see `format.retention`."""
    header_style: HeaderStyle = "role_first"
    """Where the assistant's headers name the recipient; `"channel_first"` is how the models write them."""
    schema_style: SchemaStyle = "extended"
    """How tools are declared; see `chat.typescript`."""
    on_invalid: OnInvalid = "raise"
    """What happens to a header field that would read back as something else."""
    canonicalize: bool = False
    """Write parsed messages anew, not with the ids they were parsed from."""
    quirks: bool = False
    """Do as `openai-harmony` 0.0.8 where it should not: a message to `all` ends like a call, a call on the
    final channel ends in training with `<|return|>`, a content type is written where it reads back as a
    recipient, and `<|constrain|> json` keeps its space."""

    def __post_init__(self) -> None:
        for field, words in _WORDS.items():
            value = getattr(self, field)
            if value not in words and not (field == "analysis" and callable(value)):
                or_function = " or a function" if field == "analysis" else ""
                raise HarmonyError(f"{field} is one of {', '.join(words)}{or_function}, not {value!r}")


UPSTREAM = RenderConfig(analysis="upstream", schema_style="upstream", canonicalize=True, quirks=True)
