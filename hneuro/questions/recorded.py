"""Questions whose answers were recorded elsewhere, in the format that `recordings` reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hneuro.questions.base import QuestionSet, normal_text
from hneuro.questions.recordings import read_recordings
from hneuro.questions.rows import digest, read_rows
from hneuro.records import Origin, Question, UserError


@dataclass(frozen=True, kw_only=True)
class RecordedQuestions:
    """The questions of a file of recorded responses, without the instruction (`suffix`) that was put behind them.

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
