"""Semantic clusters of samples by their normalised words."""

from __future__ import annotations

import numpy as np
import pytest

from hneuro.detection.mechanism.signals import cluster_entropy, inconsistency
from hneuro.records import LabelledResponse, Response


@pytest.mark.parametrize(
    ("texts", "entropy"),
    [
        (["Paris", "paris.", " the Paris!"], 0.0),
        (["Paris", "Rome"], np.log(2)),
        (["Paris", "Paris", "Rome", "Oslo"], 1.5 * np.log(2)),
        (["Paris"], np.nan),
        ([], np.nan),
    ],
)
def test_the_entropy_counts_what_is_said_and_not_how(texts: list[str], entropy: float) -> None:
    np.testing.assert_allclose(cluster_entropy(texts), entropy)


def said(question: str, sample: int, text: str, lost: str = "") -> Response:
    return Response(
        question_id=question, sample=sample, prompt_ids=(1,), token_ids=(2,), text=text, logprobs=(), entropies=(),
        lost=lost,
    )  # fmt: skip


def test_rows_find_the_samples_of_their_question_and_lost_ones_do_not_count() -> None:
    rows = [LabelledResponse(question_id=q, group=q, sample=0, hallucinated=True) for q in ("b", "a", "c", "none")]
    samples = [said("a", 0, "x"), said("a", 1, "x"), said("b", 0, "x"), said("b", 1, "y"), said("c", 0, "x")]
    found = inconsistency(rows, [*samples, said("a", 2, "z", lost="broken"), said("c", 1, "", lost="broken")])
    np.testing.assert_allclose(found, [np.log(2), 0.0, np.nan, np.nan])
