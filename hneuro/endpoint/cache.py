"""Answers that were paid for, on the disk: safe for several processes, whole after a kill, nothing asked twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hneuro.records import UserError

PATIENCE = 60.0  # seconds of waiting for another process that writes

TABLES = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, model TEXT NOT NULL, reply TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    model TEXT PRIMARY KEY, requests INTEGER NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL
) WITHOUT ROWID;
"""
SPEND = """
INSERT INTO spent VALUES (?, 1, ?, ?) ON CONFLICT (model) DO UPDATE SET
requests = requests + 1, tokens_in = tokens_in + excluded.tokens_in, tokens_out = tokens_out + excluded.tokens_out
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a model has answered for this cache, and what it read and wrote."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class Answers:
    """Replies by key, and what each model has spent. A reply and its price are written in one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> str | None:
        row = self._connection.execute("SELECT reply FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, model: str, reply: str, tokens_in: int, tokens_out: int) -> None:
        with self._connection:
            self._connection.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", (key, model, reply))
            self._connection.execute(SPEND, (model, tokens_in, tokens_out))

    def spent(self, model: str) -> Spent:
        row = self._connection.execute(
            "SELECT requests, tokens_in, tokens_out FROM spent WHERE model = ?", (model,)
        ).fetchone()
        return Spent(requests=row[0], tokens_in=row[1], tokens_out=row[2]) if row else Spent()


@contextmanager
def opened(file: str | None) -> Iterator[Answers]:
    """The answers in `file`, made where it is missing; in memory without one. `UserError` where it cannot be used."""
    try:
        if file is not None:
            with suppress(OSError):  # sqlite says it, too
                Path(file).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file or ":memory:", timeout=PATIENCE)
        try:
            connection.executescript(TABLES)
            yield Answers(connection)
        finally:
            connection.close()
    except sqlite3.Error as fault:
        way = "make room" if "full" in str(fault) else "choose another file as cache, or delete it if it is damaged"
        raise UserError(f"the cache of answers {file} cannot be used ({fault}): {way}") from fault
