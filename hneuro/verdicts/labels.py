"""Labels that are there already, given by people or recorded with the responses, as a judge."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hneuro.questions.options import plain_text
from hneuro.questions.recorded import verdict_of
from hneuro.questions.rows import Row, read_rows
from hneuro.records import ASIDE, Judgement, Question, Response, UserError, Verdict
from hneuro.verdicts.base import Pair, Said, judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class _Label:
    where: str
    question: str
    sample: int | None
    text: str | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class LabelsJudge:
    """A file of verdicts: jsonl, json, csv or parquet with a row a label. The columns of recorded responses are
    `question_id`, `sample`, `text` and `verdict`.

    A row names its question, and its response by text, by sample number or by both. A label holds for the very text
    that it was given to: a response with another text, or with two labels that disagree, is unjudged.
    """

    path: str = field(metadata=ASIDE)
    id_column: str = "id"
    sample_column: str = "sample"
    response_column: str = "response"
    verdict_column: str = "verdict"
    content: str = field(init=False, default="")  # digest of the file, so that changed labels judge anew
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        file = Path(self.path)
        if file.is_file():
            object.__setattr__(self, "content", hashlib.sha256(file.read_bytes()).hexdigest())

    def check(self) -> None:
        self._labels()

    def judge(self, pairs: Sequence[Pair]) -> tuple[Judgement, ...]:
        by_sample: dict[tuple[str, int], _Label] = {}
        by_text: dict[tuple[str, str], set[Verdict]] = {}
        for label in self._labels():
            if label.text is not None:
                by_text.setdefault((label.question, label.text.strip()), set()).add(label.verdict)
            if label.sample is not None:
                before = by_sample.setdefault((label.question, label.sample), label)
                if before.verdict is not label.verdict:
                    raise UserError(f"{label.where}: another verdict than {before.where} for the same response")

        def said(question: Question, response: Response) -> Said:
            own, text = by_sample.get((question.id, response.sample)), response.text.strip()
            if own is not None and (own.text is None or own.text.strip() == text):
                return own.verdict, f"label of {own.where}"
            verdicts = by_text.get((question.id, text), set())
            if len(verdicts) == 1:
                return next(iter(verdicts)), "label of this text"
            return Verdict.UNJUDGED, "labels of this text disagree" if verdicts else "no label"

        return tuple(judgement(pair, said(*pair), f"labels/{Path(self.path).stem}") for pair in pairs)

    def _labels(self) -> list[_Label]:
        return [self._label(n, row) for n, row in enumerate(read_rows(Path(self.path)), 1)]

    def _label(self, number: int, row: Row) -> _Label:
        where = f"{self.path}, row {number}"
        for column in (self.id_column, self.verdict_column):
            if column not in row:
                raise UserError(f"{where} has no {column!r}; it has {', '.join(map(str, row))}")
        sample, text = plain_text(row.get(self.sample_column)).removesuffix(".0"), row.get(self.response_column)
        if not sample and not isinstance(text, str):
            raise UserError(
                f"{where} names no response: it needs {self.sample_column!r}, {self.response_column!r} or both"
            )
        if sample and not sample.isdecimal():
            raise UserError(f"{where}: {self.sample_column!r} must be a number from 0, not {sample[:40]!r}")
        return _Label(
            where=where,
            question=plain_text(row[self.id_column]),
            sample=int(sample) if sample else None,
            text=text if isinstance(text, str) else None,
            verdict=verdict_of(row[self.verdict_column], where),
        )
