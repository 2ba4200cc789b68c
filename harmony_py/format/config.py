"""How conversations are written down: every choice there is, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harmony_py.chat import HeaderStyle
    from harmony_py.chat.typescript import SchemaStyle
    from harmony_py.format.retention import AnalysisPolicy
    from harmony_py.format.validate import OnInvalid


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


UPSTREAM = RenderConfig(analysis="upstream", schema_style="upstream", canonicalize=True, quirks=True)
