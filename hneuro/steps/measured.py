"""Answers with everything that was measured about them: what detection, origin and the report are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hneuro.detection.scored import AnswerSet, baseline_features
from hneuro.neurons import Contributions, ProbeRows
from hneuro.probe.labeling import region_rows
from hneuro.records import AnswerSpan, LabelledResponse, Question, Response


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Labelled responses of one set of questions, with their spans located and their contributions extracted."""

    name: str
    labelled: tuple[LabelledResponse, ...]
    questions: Mapping[str, Question]
    responses: Mapping[tuple[str, int], Response]
    spans: Mapping[tuple[str, int], AnswerSpan]
    found: Contributions
    drawn: frozenset[tuple[str, int]]  # (question_id, sample) of all that were looked at, those without a span as well
    tested: str  # the region that detectors read
    digest: str  # of the contributions and that region

    def rows(self) -> ProbeRows:
        """One row a labelled response, of the region that detectors read."""
        return region_rows(self.found, self.labelled, self.tested)

    def answer_set(self) -> AnswerSet:
        features = baseline_features(self.labelled, self.responses, self.spans)
        return AnswerSet(name=self.name, rows=self.rows(), baselines=features, made_up=self.made_up)

    @property
    def made_up(self) -> bool:
        """Whether there are questions about things that do not exist."""
        return not all(question.answerable for question in self.questions.values())

    @property
    def two_sided(self) -> bool:
        """Whether there are both hallucinated and faithful answers."""
        return len({answer.hallucinated for answer in self.labelled}) == 2
