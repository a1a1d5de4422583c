"""Answers that were paid for, on the disk: safe for several processes, whole after a kill, nothing asked twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hneuro.records import UserError

PATIENCE = 60.0  # seconds of waiting for another process that writes

TABLE = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, model TEXT NOT NULL, reply TEXT NOT NULL) WITHOUT ROWID"
)


class Answers:
    """Replies by key."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> str | None:
        row = self._connection.execute("SELECT reply FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, model: str, reply: str) -> None:
        with self._connection:
            self._connection.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", (key, model, reply))


@contextmanager
def opened(file: str | None) -> Iterator[Answers]:
    """The answers in `file`, made where it is missing; in memory without one. `UserError` where it cannot be used."""
    try:
        if file is not None:
            with suppress(OSError):  # sqlite says it, too
                Path(file).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file or ":memory:", timeout=PATIENCE)
        try:
            connection.execute(TABLE)
            yield Answers(connection)
        finally:
            connection.close()
    except sqlite3.Error as fault:
        way = "make room" if "full" in str(fault) else "choose another file as cache, or delete it if it is damaged"
        raise UserError(f"the cache of answers {file} cannot be used ({fault}): {way}") from fault
