"""What models said elsewhere: recorded responses, one JSON object a line, as `records.jsonl` in the store of hneuro.

    {"question_id": "tc_1", "text": "Ernest Hemingway", "question": "Who ...?", "answers": ["..."], "verdict": "wrong"}

`question_id` and `text` must be there. `sample`, `prompt_ids`, `token_ids`, `logprobs`, `entropies`, `lost`,
`truncated`, and `answer_tokens` (texts) may be. Samplers, span locators and the data set below read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hneuro.questions.base import QuestionSet, normal_text
from hneuro.questions.options import plain_text
from hneuro.questions.rows import Row, digest, read_rows
from hneuro.records import Origin, Question, UserError, Verdict

VERDICTS = {
    Verdict.CORRECT: ("correct", "true", "t", "1", "right"),
    Verdict.WRONG: ("wrong", "false", "f", "0", "incorrect", "hallucinated"),
    Verdict.REFUSED: ("refused", "uncertain", "abstain"),
    Verdict.UNJUDGED: ("unjudged", "error", "unknown"),
}
MEANING = {word: verdict for verdict, words in VERDICTS.items() for word in words}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A response as its file has it. None: the file does not say."""

    where: str
    text: str
    question: str | None = None  # as it was put, including any instruction after it
    answers: tuple[str, ...] = ()  # gold answers
    verdict: Verdict | None = None
    answer_tokens: tuple[str, ...] | None = None  # token strings as they were printed
    prompt_ids: tuple[int, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] = ()
    entropies: tuple[float, ...] = ()
    lost: str = ""
    truncated: bool = False


Responses = Mapping[str, Sequence[Recorded]]  # of each question id, by sample


@dataclass(frozen=True, kw_only=True)
class RecordedQuestions:
    """The questions of a file of recorded responses, without the instruction (`suffix`) that followed them.

    Questions without gold answers are kept if their responses are judged in the file.
    """

    path: str
    name: str = "recorded"
    suffix: str = " Respond with the answer only, without any explanation."

    def load(self) -> QuestionSet:
        recordings = read_recordings(self.path)
        questions = []
        for question_id, said in recordings.items():
            put = {one.question for one in said}
            if None in put or len(put) > 1:
                raise UserError(
                    f"{said[0].where}: each response to {question_id!r} needs the same 'question', as it was put"
                )
            text = str(said[0].question).removesuffix(self.suffix.strip()).rstrip()
            questions.append(
                Question(
                    id=question_id,
                    dataset=self.name,
                    text=text,
                    answers=tuple(dict.fromkeys(answer for one in said for answer in one.answers)),
                    entity=normal_text(text),
                    meta={"judged": all(one.verdict is not None for one in said)},
                )
            )
        fingerprint = digest(read_rows(Path(self.path)))
        origin = Origin(source=self.path, revision="", fingerprint=fingerprint, rows=len(recordings))
        return QuestionSet(questions=tuple(questions), origin=origin)


def read_recordings(path: Path | str) -> Responses:
    """All responses of a file by question. `UserError` names the file, the row and what does not fit."""
    if Path(path).suffix != ".jsonl":
        raise UserError(f"{path}: recorded responses are read from .jsonl files, which have a line for each response")
    found: dict[str, dict[int, Recorded]] = {}
    for number, row in enumerate(read_rows(Path(path)), 1):
        where = f"{path}, row {number}"
        question_id = plain_text(row.get("question_id"))
        if not question_id:
            raise UserError(f"{where} has no 'question_id', by which questions find their responses")
        before = found.setdefault(question_id, {})
        sample = len(before) if row.get("sample") is None else row["sample"]
        if not _is_count(sample):
            raise UserError(f"{where}: 'sample' must be a number from 0, not {plain_text(sample)[:40]!r}")
        if sample in before:
            raise UserError(f"{where}: sample {sample} of question {question_id!r} is there more than once")
        before[sample] = _recorded(row, where)
    if not found:
        raise UserError(f"{path} has no recorded responses: it is empty")
    return {name: [by_sample[n] for n in sorted(by_sample)] for name, by_sample in found.items()}


def _recorded(row: Row, where: str) -> Recorded:
    if not isinstance(row.get("text"), str):
        raise UserError(f"{where}: 'text' must be the response, as text")

    def listed(name: str, fits: Callable[[Any], bool], what: str) -> tuple[Any, ...] | None:
        cell = row.get(name)
        if cell is not None and not (isinstance(cell, list) and all(map(fits, cell))):
            raise UserError(f"{where}: {name!r} must be a list of {what}")
        return None if cell is None else tuple(cell)

    prompt_ids, token_ids = (listed(name, _is_count, "token ids") for name in ("prompt_ids", "token_ids"))
    answers, answer_tokens = (
        listed(name, lambda text: isinstance(text, str), "texts") for name in ("answers", "answer_tokens")
    )
    return Recorded(
        where=where,
        text=row["text"],
        question=plain_text(row.get("question")) or None,
        answers=tuple(dict.fromkeys(answers or ())),
        verdict=verdict_of(row["verdict"], where) if plain_text(row.get("verdict")) else None,
        answer_tokens=answer_tokens,
        prompt_ids=prompt_ids,
        token_ids=token_ids,
        logprobs=_measured(row, "logprobs", token_ids, (-math.inf, 1e-3), where),
        entropies=_measured(row, "entropies", token_ids, (-1e-3, math.inf), where),
        lost=plain_text(row.get("lost")),
        truncated=row.get("truncated") is True,
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def verdict_of(cell: Any, where: str) -> Verdict:
    """The verdict that a word of a file means, also where a table made 1 a 1.0."""
    word = plain_text(cell).lower().removesuffix(".0")
    if word not in MEANING:
        raise UserError(f"{where}: the verdict {word[:40]!r} is none of {', '.join(MEANING)}")
    return MEANING[word]


def _measured(
    row: Row, name: str, token_ids: Sequence[int] | None, possible: tuple[float, float], where: str
) -> tuple[float, ...]:
    """A value for each token, or none at all."""
    cell = row.get(name)
    if cell is None or cell == []:
        return ()
    if token_ids is None or not isinstance(cell, list) or len(cell) != len(token_ids):
        raise UserError(f"{where}: {name!r} must be a list with a value for each of the token ids, which it needs")
    try:
        values = tuple(map(float, cell))
    except (TypeError, ValueError):
        values = (math.nan,)
    if not all(math.isfinite(value) and possible[0] <= value <= possible[1] for value in values):
        raise UserError(f"{where}: {name!r} holds a value that cannot be (not a number, or on the wrong side of 0)")
    return values
