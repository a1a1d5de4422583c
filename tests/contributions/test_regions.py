"""Which positions are pooled."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from hneuro.contributions.regions import ContributionSettings, Region, averages, region_positions
from hneuro.records import AnswerSpan, Response

BOS, END, USER, ASSISTANT = 1, 2, 3, 4
SPECIAL = frozenset({BOS, END, USER, ASSISTANT})
PROMPT = (BOS, USER, 20, 21, 22, END, ASSISTANT)  # positions 0 to 6
SAID = (30, 31, 32, 33, END)  # positions 7 to 11


def positions(answer: tuple[int, ...] = (1, 3), **settings: Any) -> dict[str, list[int]]:
    """Positions of every region that is not empty, after checking that its weights are an average."""
    nothing = (0.0,) * len(SAID)
    response = Response(
        question_id="q", sample=0, prompt_ids=PROMPT, token_ids=SAID, text="", logprobs=nothing, entropies=nothing
    )
    span = AnswerSpan(question_id="q", sample=0, tokens=answer, text="", method="test")
    chosen = ContributionSettings(regions=get_args(Region), **settings)
    weights = averages(region_positions(response, span, chosen, SPECIAL), len(PROMPT) + len(SAID))
    assert weights.shape == (3, 12)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-6)
    for row in weights:
        assert len(set(row[row > 0].tolist())) == 1
    return {name: np.flatnonzero(row).tolist() for name, row in zip(chosen.regions, weights, strict=True)}


def test_regions_of_the_paper() -> None:
    """No header, BOS or end of turn in a region, unless the settings ask for them."""
    assert positions() == {
        "answer": [8, 10],
        "other": [2, 3, 4, 7, 9],
        "last_prompt": [6],
    }


def test_parity_with_the_published_code_counts_special_tokens() -> None:
    """There, `other` is everything but the answer."""
    found = positions(special_tokens=True)
    assert found["other"] == [0, 1, 2, 3, 4, 5, 6, 7, 9, 11]


def test_predicting_reads_one_position_to_the_left() -> None:
    found = positions(position="predicting")
    assert found["answer"] == [7, 9]
    assert found["other"] == [2, 3, 4, 8, 10]


@pytest.mark.parametrize("position", ["token", "predicting"])
@pytest.mark.parametrize("special_tokens", [False, True])
def test_the_answer_is_never_in_other(position: str, special_tokens: bool) -> None:
    for answer in ((0,), (3,), (0, 1, 2, 3), (1, 3)):
        found = positions(answer=answer, position=position, special_tokens=special_tokens)
        assert not set(found["answer"]) & set(found["other"])


@pytest.mark.parametrize(
    "wrong", [{"regions": ("other",)}, {"regions": ("answer", "answer")}, {"token_budget": 0}, {"regions": ()}]
)
def test_settings_that_cannot_be_measured_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="regions must be distinct and include 'answer'"):
        ContributionSettings(**wrong)
