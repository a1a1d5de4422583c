"""Answers give detectors the rows of the region that the labeling names."""

from __future__ import annotations

import numpy as np
import pytest

from hneuro.neurons import Contributions, NeuronSpace
from hneuro.pipeline.measured import Answers
from hneuro.records import AnswerSpan, LabelledResponse, Response

KEYS = (("a", 0), ("b", 0))


def answers(tested: str) -> Answers:
    return Answers(
        name="set",
        labelled=tuple(LabelledResponse(question_id=q, group=q, sample=n, hallucinated=q == "a") for q, n in KEYS),
        questions={},
        responses={
            (q, n): Response(
                question_id=q, sample=n, prompt_ids=(1,), token_ids=(2,), text="A", logprobs=(-1.0,), entropies=(0.5,)
            )
            for q, n in KEYS
        },
        spans={
            (q, n): AnswerSpan(question_id=q, sample=n, tokens=(0,), text="A", method="short_answer") for q, n in KEYS
        },
        found=Contributions(
            values=np.arange(8, dtype=np.float32).reshape(2, 2, 2),
            keys=KEYS,
            regions=("answer", "last_prompt"),
            space=NeuronSpace(n_layers=1, width=2),
        ),
        drawn=frozenset(KEYS),
        tested=tested,
        digest="d",
    )


@pytest.mark.parametrize(("tested", "x"), [("answer", [[0, 1], [4, 5]]), ("last_prompt", [[2, 3], [6, 7]])])
def test_rows_are_of_the_region_that_detectors_read(tested: str, x: list[list[int]]) -> None:
    """Trap 42: fitted at one position, served at another."""
    for rows in (answers(tested).rows(), answers(tested).answer_set().rows):
        np.testing.assert_array_equal(rows.columns([0, 1]), x)
        assert rows.y.tolist() == [1, 0]
