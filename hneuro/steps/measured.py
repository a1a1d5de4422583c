"""Answers with everything that was measured about them: what detection, origin and the report are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hneuro.detection.baselines import baseline_features
from hneuro.detection.evaluate import AnswerSet
from hneuro.probe.labeling import region_rows
from hneuro.records import AnswerSpan, Contributions, JoinedRows, LabelledResponse, ProbeRows, Question, Response


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Labelled responses of one set of questions, with their spans located and their contributions extracted."""

    name: str
    labelled: tuple[LabelledResponse, ...]
    questions: Mapping[str, Question]
    responses: Mapping[tuple[str, int], Response]
    spans: Mapping[tuple[str, int], AnswerSpan]
    found: Contributions
    tested: str  # the region that detectors read
    digest: str  # of the contributions and that region
    note: str = ""

    def rows(self) -> ProbeRows:
        """One row a labelled response, of the region that detectors read."""
        return region_rows(self.found, self.labelled, self.tested)

    def answer_set(self) -> AnswerSet:
        features = baseline_features(self.labelled, self.responses, self.spans)
        return AnswerSet(name=self.name, rows=self.rows(), baselines=features, note=self.note)


def contrasted(own: Answers, faithful: Answers, of: Callable[[Answers], AnswerSet] = Answers.answer_set) -> AnswerSet:
    """The hallucinated rows of `own` against the faithful rows of another set, as many of each.

    For sets of fabricated things whose questions were hardly ever refused, so that they have no faithful side.
    """
    first, second = of(own), of(faithful)
    wrong, right = np.flatnonzero(first.rows.y == 1), np.flatnonzero(second.rows.y == 0)
    count = min(len(wrong), len(right))
    wrong, right = wrong[:count], right[:count]
    return AnswerSet(
        name=own.name,
        rows=JoinedRows(parts=(own.rows().at(wrong), faithful.rows().at(right))),
        baselines=np.concatenate([first.baselines[wrong], second.baselines[right]]),
        note=f"hallucinated answers of {own.name} against faithful answers of {faithful.name}",
    )
