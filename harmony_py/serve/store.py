"""What is remembered of responses: in memory or in a file, the same either way."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Protocol

from harmony_py.chat import Message
from harmony_py.errors import HarmonyError
from harmony_py.wire.responses import MemoryStore, Past, Store

if TYPE_CHECKING:
    from pathlib import Path


class ResponseStore(Store, Protocol):
    """A store that may be asked by several threads at a time."""

    def put(self, response: dict[str, Any], past: Past) -> None:
        """Remember a response, and the conversation up to and with it."""

    def forget(self, response_id: str) -> bool:
        """Whether there was such a response; it is gone now, with its items."""

    def response(self, response_id: str) -> dict[str, Any] | None:
        """The response itself."""


class InMemory:
    """A `MemoryStore` for several threads. It keeps the very tokens that the model drew."""

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._store = MemoryStore(limit, limit_bytes)
        self._lock = threading.Lock()

    def put(self, response: dict[str, Any], past: Past) -> None:
        size = len(json.dumps(response)) + sum(len(message.text.encode()) for message in past.turns)
        with self._lock:
            self._store.put(response, past, size)

    def forget(self, response_id: str) -> bool:
        with self._lock:
            return self._store.forget(response_id)

    def response(self, response_id: str) -> dict[str, Any] | None:
        with self._lock:
            return self._store.response(response_id)

    def past(self, response_id: str) -> Past | None:
        with self._lock:
            return self._store.past(response_id)

    def item(self, item_id: str) -> dict[str, Any] | None:
        with self._lock:
            return self._store.item(item_id)


_TABLES = """
CREATE TABLE IF NOT EXISTS responses
    (id TEXT PRIMARY KEY, response TEXT NOT NULL, past TEXT NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON responses (used);
CREATE TABLE IF NOT EXISTS items
    (id TEXT PRIMARY KEY, response_id TEXT NOT NULL, item TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_response ON items (response_id);
"""


class InFile:
    """An SQLite file, which holds `limit` responses at most and outlives the server.

    What the model drew is kept as messages, not as the tokens that spelled them.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.executescript(_TABLES)
        except sqlite3.Error as error:
            raise HarmonyError(f"database: {path} cannot be used: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def put(self, response: dict[str, Any], past: Past) -> None:
        said = {"turns": [turn.to_dict() for turn in past.turns], "calls": dict(past.calls)}
        items = [(item["id"], response["id"], json.dumps(item)) for item in response["output"]]
        with self._lock, self._database as database:
            self._forget(response["id"])
            row = (response["id"], json.dumps(response), json.dumps(said))
            database.execute(f"INSERT INTO responses VALUES (?, ?, ?, {_NEXT_USE})", row)
            database.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", items)
            oldest = "SELECT id FROM responses ORDER BY used DESC LIMIT -1 OFFSET ?"
            for (response_id,) in database.execute(oldest, (self._limit,)).fetchall():
                self._forget(response_id)

    def forget(self, response_id: str) -> bool:
        with self._lock, self._database:
            return self._forget(response_id)

    def response(self, response_id: str) -> dict[str, Any] | None:
        found = self._found("response", response_id)
        return None if found is None else dict(json.loads(found))

    def past(self, response_id: str) -> Past | None:
        found = self._found("past", response_id)
        if found is None:
            return None
        said = json.loads(found)
        return Past(tuple(Message.from_dict(turn) for turn in said["turns"]), said["calls"])

    def item(self, item_id: str) -> dict[str, Any] | None:
        with self._lock, self._database as database:
            found = database.execute(
                "SELECT response_id, item FROM items WHERE id = ?", (item_id,)
            ).fetchone()
            if found is None:
                return None
            self._touch(found[0])
            return dict(json.loads(found[1]))

    # -- with the lock held --------------------------------------------------------------------------------

    def _found(self, column: str, response_id: str) -> str | None:
        with self._lock, self._database as database:
            query = f"SELECT {column} FROM responses WHERE id = ?"
            found = database.execute(query, (response_id,)).fetchone()
            if found is None:
                return None
            self._touch(response_id)
            return str(found[0])

    def _touch(self, response_id: str) -> None:
        self._database.execute(f"UPDATE responses SET used = {_NEXT_USE} WHERE id = ?", (response_id,))

    def _forget(self, response_id: str) -> bool:
        self._database.execute("DELETE FROM items WHERE response_id = ?", (response_id,))
        return self._database.execute("DELETE FROM responses WHERE id = ?", (response_id,)).rowcount > 0


_NEXT_USE = "(SELECT COALESCE(MAX(used), 0) + 1 FROM responses)"
