"""Answers that wait for a person, in an SQLite file, and the labels that they were given."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hneuro.detector import Answer
from hneuro.questions.base import text_id
from hneuro.records import UserError
from hneuro.serve.policy import Decision

DAY = 86400.0  # seconds
TABLE = """
CREATE TABLE IF NOT EXISTS held (
    number INTEGER PRIMARY KEY, time REAL NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL, score REAL,
    probability REAL, question TEXT, answer TEXT, tokens TEXT, risks TEXT NOT NULL, label TEXT, labelled REAL
)"""
Row = dict[str, Any]


@dataclass(kw_only=True)
class Queue:
    """`texts`: whether questions and answers are kept; without them nobody can label. `days`: how long a row stays."""

    file: Path
    texts: bool = True
    days: float = 30.0
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Rows that are too old are gone whoever looks."""
        try:
            with self._lock, closing(sqlite3.connect(self.file, timeout=30)) as base, base:
                self.file.chmod(0o600)  # what people asked is for nobody else
                base.row_factory = sqlite3.Row
                base.execute("PRAGMA secure_delete = ON")
                base.execute(TABLE)
                base.execute("DELETE FROM held WHERE time < ?", (time.time() - self.days * DAY,))
                yield base
        except sqlite3.Error as fault:
            raise UserError(f"the review queue {self.file} cannot be used: {fault}") from fault

    def put(self, answer: Answer, content: str, decision: Decision) -> int | None:
        """The number of the row."""
        kept = self.texts
        values = {
            "time": time.time(),
            "decision": decision.action,
            "reason": answer.unchecked,
            "score": None if answer.score != answer.score else answer.score,
            "probability": answer.probability,
            "question": answer.question if kept else None,
            "answer": content if kept else None,
            "tokens": json.dumps(answer.tokens) if kept else None,
            "risks": json.dumps(answer.risk.tolist()),
        }
        with self._open() as base:
            names = ", ".join(values)
            holes = ", ".join("?" * len(values))
            return base.execute(f"INSERT INTO held ({names}) VALUES ({holes})", tuple(values.values())).lastrowid

    def rows(self, *, labelled: bool) -> list[Row]:
        """Oldest first: those that wait, or those that have a label."""
        word = "IS NOT NULL" if labelled else "IS NULL"
        with self._open() as base:
            found = base.execute(f"SELECT * FROM held WHERE label {word} ORDER BY number LIMIT 10000").fetchall()
        return [
            dict(row) | {"tokens": json.loads(row["tokens"] or "[]"), "risks": json.loads(row["risks"])}
            for row in found
        ]

    def label(self, number: int, label: str) -> bool:
        """Whether there is such a row. A label can be changed."""
        with self._open() as base:
            done = base.execute(
                "UPDATE held SET label = ?, labelled = ? WHERE number = ?", (label, time.time(), number)
            )
            return done.rowcount == 1

    def labels(self) -> list[Row]:
        """Rows that `judge=labels` reads, whose `id` is that of the same question in `dataset=file`."""
        return [
            {
                "id": text_id(row["question"]),
                "question": row["question"],
                "response": row["answer"],
                "verdict": row["label"],
                "time": row["labelled"],
            }
            for row in self.rows(labelled=True)
            if row["question"] is not None
        ]
