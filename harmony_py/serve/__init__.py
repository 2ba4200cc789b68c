"""The local server: OpenAI's two APIs over any engine. Needs the extra `serve`.

    app = application(Batched(load(toy())), Settings())

`application` makes an ASGI app for any server; `harmony_py.serve.server` runs it, as does `harmony-py serve`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.lazy import lazily

if TYPE_CHECKING:
    from harmony_py.serve.app import application
    from harmony_py.serve.batched import Batched
    from harmony_py.serve.runners import Interleaved
    from harmony_py.serve.server import Background
    from harmony_py.serve.settings import Settings

__all__ = ["Background", "Batched", "Interleaved", "Settings", "application"]

# Imported at first use: the framework and torch are extras, and what needs neither should load without.
_HOMES = {
    "Background": "server",
    "Batched": "batched",
    "Interleaved": "runners",
    "Settings": "settings",
    "application": "app",
}

__getattr__, __dir__ = lazily(__name__, _HOMES, extra="serve")
