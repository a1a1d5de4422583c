"""Which vectors become rows, with which labels (PROTOCOL: 1-vs-1 and 3-vs-1)."""

from __future__ import annotations

import numpy as np

from hneuro.probe.labeling import Labeling, OneVsOne, ThreeVsOne, answer_rows
from hneuro.records import Contributions, LabelledResponse, NeuronSpace

SPACE = NeuronSpace(n_layers=1, width=2)

# Response n has the answer vector (n, 0) and the other vector (n, 1).
FOUND = Contributions(
    values=np.array([[[n, 1], [n, 0]] for n in range(5)], dtype=np.float32),
    keys=(("a", 0), ("b", 3), ("c", 1), ("d", 0), ("e", 9)),
    regions=("other", "answer"),
    space=SPACE,
)
# In another order than the contributions, and without "d".
LABELLED = tuple(
    LabelledResponse(question_id=q, entity=entity, sample=sample, hallucinated=wrong)
    for q, entity, sample, wrong in (
        ("e", "X", 9, True),
        ("a", "Y", 0, False),
        ("c", "X", 1, True),
        ("b", "Z", 3, False),
    )
)


def test_one_vs_one_is_answers_alone() -> None:
    rows = OneVsOne().rows(FOUND, LABELLED)
    np.testing.assert_array_equal(rows.x, [[4, 0], [0, 0], [2, 0], [1, 0]])
    np.testing.assert_array_equal(rows.y, [1, 0, 1, 0])
    assert rows.groups.tolist() == ["X", "Y", "X", "Z"]
    assert rows.x.dtype == np.float32


def test_three_vs_one_sets_wrong_answers_against_everything_else() -> None:
    rows = ThreeVsOne().rows(FOUND, LABELLED)
    np.testing.assert_array_equal(rows.x, [[4, 0], [0, 0], [2, 0], [1, 0], [4, 1], [0, 1], [2, 1], [1, 1]])
    np.testing.assert_array_equal(rows.y, [1, 0, 1, 0, 0, 0, 0, 0])
    assert rows.groups.tolist() == ["X", "Y", "X", "Z"] * 2


def test_detectors_are_tested_on_answers_whatever_they_learnt_from() -> None:
    rows = answer_rows(FOUND, LABELLED)
    np.testing.assert_array_equal(rows.x, OneVsOne().rows(FOUND, LABELLED).x)


def test_rows_do_not_share_memory_with_the_stored_array() -> None:
    rows = answer_rows(FOUND, LABELLED)
    assert not np.shares_memory(rows.x, FOUND.values)


def test_both_are_parts_that_say_which_regions_they_need() -> None:
    assert isinstance(OneVsOne(), Labeling)
    assert isinstance(ThreeVsOne(), Labeling)
    assert (OneVsOne().regions, ThreeVsOne().regions) == (("answer",), ("answer", "other"))
