"""Labels that are there already, given by people or recorded with the responses, as a judge."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hneuro.questions.options import plain_text
from hneuro.questions.recordings import MEANING
from hneuro.questions.rows import Row, read_rows
from hneuro.records import ASIDE, Judgement, Question, Response, UserError, Verdict
from hneuro.verdicts.base import Pair


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
                by_text.setdefault((label.question, _same(label.text)), set()).add(label.verdict)
            if label.sample is not None:
                before = by_sample.setdefault((label.question, label.sample), label)
                if before.verdict is not label.verdict:
                    raise UserError(f"{label.where}: another verdict than {before.where} for the same response")
        found = []
        for question, response in pairs:
            verdict, reason = self._verdict(question, response, by_sample, by_text)
            found.append(
                Judgement(
                    question_id=question.id,
                    sample=response.sample,
                    verdict=verdict,
                    judge=f"labels/{Path(self.path).stem}",
                    reason=reason,
                )
            )
        return tuple(found)

    def _verdict(
        self,
        question: Question,
        response: Response,
        by_sample: dict[tuple[str, int], _Label],
        by_text: dict[tuple[str, str], set[Verdict]],
    ) -> tuple[Verdict, str]:
        own = by_sample.get((question.id, response.sample))
        if own is not None and (own.text is None or _same(own.text) == _same(response.text)):
            return own.verdict, f"label of {own.where}"
        said = by_text.get((question.id, _same(response.text)), set())
        if len(said) == 1:
            return next(iter(said)), "label of this text"
        return Verdict.UNJUDGED, "labels of this text disagree" if said else "no label"

    def _labels(self) -> Iterator[_Label]:
        return iter([self._label(n, row) for n, row in enumerate(read_rows(Path(self.path)), 1)])

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
        word = plain_text(row[self.verdict_column]).lower().removesuffix(".0")
        if word not in MEANING:
            raise UserError(f"{where}: the verdict {word[:40]!r} is none of {', '.join(MEANING)}")
        return _Label(
            where=where,
            question=plain_text(row[self.id_column]),
            sample=int(sample) if sample else None,
            text=text if isinstance(text, str) else None,
            verdict=MEANING[word],
        )


def _same(text: str) -> str:
    """Blanks at the ends tell no two responses apart."""
    return text.strip()
