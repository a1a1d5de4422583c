"""Recordings of the published code, `{id: {question, responses, judges, ground_truth, answer_tokens}}`, as our own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any


def as_rows(lines: Iterable[str]) -> list[dict[str, Any]]:
    rows = []
    for line in lines:
        for name, one in json.loads(line).items():
            texts = one.get("responses") or [one["response"]]
            judges = one.get("judges") or [one.get("judge")] * len(texts)
            rows += [
                {
                    "question_id": name,
                    "question": one["question"],
                    "text": text,
                    "verdict": verdict,
                    "answers": one.get("ground_truth", []),
                    "answer_tokens": one.get("answer_tokens"),
                }
                for text, verdict in zip(texts, judges, strict=True)
            ]
    return rows


def converted(source: Path, target: Path, first: int | None = None) -> Path:
    """`target`, with the recordings of the first lines of `source`."""
    with source.open(encoding="utf-8") as lines:  # not `splitlines`: the texts hold rarer line breaks as they are
        rows = as_rows(islice(lines, first))
    target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return target
