"""Names for what an answer consists of."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TypeAlias

NewId: TypeAlias = Callable[[str], str]
"""Makes an id out of a prefix: `call` gives `call_` and something that nobody has had."""


def random_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
