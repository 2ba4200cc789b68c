"""Local `$ref`s: where they point, and where to stop following them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from harmony_py.chat.pointers import follow, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harmony_py.chat.typescript.text import Json

MAX_EXPANSIONS: Final = 500
"""References written out for one tool: a schema of a few hundred bytes can ask for billions."""

MAX_OPEN: Final = 16
"""References written out inside one another."""


class References:
    """Follows the references of one root schema, into no circle and not without end."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._open: set[str] = set()
        self._expansions = 0

    @contextmanager
    def entered(self, name: str) -> Iterator[tuple[Json, str]]:
        """What `name` points to, or a note on why it is not followed, while its target is written out."""
        label = name.rpartition("/")[2] or name
        if name in self._open:
            yield None, f"recursive {label}"
            return
        target = self.target(name)
        if target is None or self._expansions >= MAX_EXPANSIONS or len(self._open) >= MAX_OPEN:
            yield None, label
            return
        self._expansions += 1
        self._open.add(name)
        try:
            yield target, ""
        finally:
            self._open.discard(name)

    def target(self, name: str) -> Json:
        """The schema at the JSON pointer `name`; None where there is none in this schema."""
        path = path_of(name)
        return None if path is None else follow(self._root, path)

    def resolved(self, schema: Json) -> Json:
        """`schema` with the keywords of what it refers to; its own win."""
        seen: set[str] = set()
        while isinstance(schema, dict) and isinstance(name := schema.get("$ref"), str) and name not in seen:
            seen.add(name)
            target = self.target(name)
            own = {key: value for key, value in schema.items() if key != "$ref"}
            inherited = dict(target) if isinstance(target, dict) else {}
            inherited.pop("title", None)  # the title of a definition is its name, no more
            schema = {**inherited, **own}
        return schema
