"""What a server allows, and what it says where a request does not."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat import SystemContent
from harmony_py.errors import HarmonyError
from harmony_py.format.config import RenderConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DEFAULTS: Final = ("temperature", "top_k", "top_p", "min_p")
"""What `Settings.defaults` may say."""


def dated() -> SystemContent:
    """The system message of these models, with the day on which it is asked."""
    return SystemContent(conversation_start_date=time.strftime("%Y-%m-%d"))


@dataclass(frozen=True)
class Settings:
    """Every limit is there to be lowered or raised; none of them can be left out."""

    models: tuple[str, ...] = ("gpt-oss",)
    """The names that requests may ask for. They all mean the one model there is."""
    api_keys: tuple[str, ...] = ()
    """One of these must come with each request but those for `/health`. None: everybody may ask."""
    origins: tuple[str, ...] = ()
    """The origins whose pages may ask, as browsers name them; `*` for all."""

    body_bytes: int = 8 << 20
    prompt_tokens: int = 131_072
    """At most; the engine may have less room."""
    output_tokens: int = 131_072
    """At most, whatever a request asks for."""
    choices: int = 8
    """The greatest `n`."""
    waiting: int = 256
    """So many answers may wait for their turn; who asks for more is told to come again later."""
    seconds: float = 600.0
    """From the request to the end of its answer, which is cut off then."""

    stored: int = 1000
    """So many responses are remembered; what was used longest ago is forgotten first."""
    stored_bytes: int = 256 << 20
    """And no more than this of them, in memory."""
    database: Path | None = None
    """A file in which responses are remembered; they stay there. None: in memory."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """How tokens are chosen where a request does not say: `temperature`, `top_k`, `top_p`, `min_p`."""
    system: Callable[[], SystemContent] = dated
    """The system message of each conversation, without what the request says of it."""
    render: RenderConfig = field(default_factory=RenderConfig)

    def __post_init__(self) -> None:
        if not self.models:
            raise HarmonyError("models: expected at least one name")
        for name in (
            "body_bytes",
            "prompt_tokens",
            "output_tokens",
            "choices",
            "waiting",
            "stored",
            "stored_bytes",
            "seconds",
        ):
            if not getattr(self, name) > 0:
                raise HarmonyError(f"{name}: expected a number above 0, found {getattr(self, name)!r}")
        if unknown := [name for name in self.defaults if name not in DEFAULTS]:
            raise HarmonyError(f"defaults: there is {', '.join(DEFAULTS)}; found {unknown[0]!r}")
