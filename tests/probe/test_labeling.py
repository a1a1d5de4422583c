"""Which vectors become rows, with which labels (PROTOCOL, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from hneuro.probe.labeling import (
    Labeling,
    LettersContrastive,
    LettersForeseen,
    OneVsOne,
    OtherTokens,
    Shuffled,
    ThreeVsOne,
    believed,
    permuted,
    region_rows,
)
from hneuro.records import Contributions, LabelledResponse, NeuronSpace

SPACE = NeuronSpace(n_layers=1, width=2)

# Response n has the answer vector (n, 0), the other vector (n, 1) and the vector (n, 2) at the last prompt token.
FOUND = Contributions(
    values=np.array([[[n, 1], [n, 0], [n, 2]] for n in range(5)], dtype=np.float32),
    keys=(("a", 0), ("b", 3), ("c", 1), ("d", 0), ("e", 9)),
    regions=("other", "answer", "last_prompt"),
    space=SPACE,
)
# In another order than the contributions, and without "d".
LABELLED = tuple(
    LabelledResponse(question_id=q, group=entity, sample=sample, hallucinated=wrong)
    for q, entity, sample, wrong in (
        ("e", "X", 9, True),
        ("a", "Y", 0, False),
        ("c", "X", 1, True),
        ("b", "Z", 3, False),
    )
)


def test_one_vs_one_is_answers_alone() -> None:
    rows = OneVsOne().rows(FOUND, LABELLED)
    np.testing.assert_array_equal(rows.columns([0, 1]), [[4, 0], [0, 0], [2, 0], [1, 0]])
    np.testing.assert_array_equal(rows.y, [1, 0, 1, 0])
    assert rows.groups.tolist() == ["X", "Y", "X", "Z"]
    assert rows.columns([0, 1]).dtype == np.float32


def test_three_vs_one_sets_wrong_answers_against_everything_else() -> None:
    rows = ThreeVsOne().rows(FOUND, LABELLED)
    np.testing.assert_array_equal(
        rows.columns([0, 1]), [[4, 0], [0, 0], [2, 0], [1, 0], [4, 1], [0, 1], [2, 1], [1, 1]]
    )
    np.testing.assert_array_equal(rows.y, [1, 0, 1, 0, 0, 0, 0, 0])
    assert rows.groups.tolist() == ["X", "Y", "X", "Z"] * 2


def test_mcq_contrastive_sets_wrong_letters_against_right_ones_and_every_last_prompt_token() -> None:
    rows = LettersContrastive().rows(FOUND, LABELLED)
    np.testing.assert_array_equal(
        rows.columns([0, 1]), [[4, 0], [0, 0], [2, 0], [1, 0], [4, 2], [0, 2], [2, 2], [1, 2]]
    )
    np.testing.assert_array_equal(rows.y, [1, 0, 1, 0, 0, 0, 0, 0])
    assert rows.groups.tolist() == ["X", "Y", "X", "Z"] * 2


def test_mcq_non_contrastive_is_the_last_prompt_token_alone() -> None:
    rows = LettersForeseen().rows(FOUND, LABELLED)
    np.testing.assert_array_equal(rows.columns([0, 1]), [[4, 2], [0, 2], [2, 2], [1, 2]])
    np.testing.assert_array_equal(rows.y, [1, 0, 1, 0])
    assert rows.groups.tolist() == ["X", "Y", "X", "Z"]
    assert rows.columns([0, 1]).dtype == np.float32


def test_other_tokens_are_labelled_as_their_answers_are() -> None:
    rows = OtherTokens().rows(FOUND, LABELLED)
    np.testing.assert_array_equal(rows.columns([0, 1]), [[4, 1], [0, 1], [2, 1], [1, 1]])
    np.testing.assert_array_equal(rows.y, [1, 0, 1, 0])


def test_shuffled_labels_keep_entities_together_and_their_number() -> None:
    count = 400
    entities = np.random.default_rng(1).integers(120, size=count)
    found = Contributions(
        values=np.zeros((count, 1, 2), np.float32),
        keys=tuple((f"q{n}", 0) for n in range(count)),
        regions=("answer",),
        space=SPACE,
    )
    labelled = [
        LabelledResponse(question_id=f"q{n}", group=str(e), sample=0, hallucinated=bool(e % 2))
        for n, e in enumerate(entities)
    ]
    true = OneVsOne().rows(found, labelled)
    first, again, other = (Shuffled(seed=seed).rows(found, labelled).y for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    for y in (first, other):
        assert all(len(set(y[entities == e])) == 1 for e in set(entities.tolist()))
        assert 0 <= true.y.sum() - y.sum() < 12  # one entity's rows at most
        assert 0.35 < (y == true.y).mean() < 0.65
    # C is not chosen by what the control may not see.
    np.testing.assert_array_equal(believed(Shuffled(), true).y, first)
    assert believed(OneVsOne(), true) is true


def test_permuted_labels_stay_together_and_as_many() -> None:
    """Groups of any size, also one that is alone with its size: its labels move, too."""
    sizes = [1] * 30 + [3] * 20 + [7]
    labelled = [
        LabelledResponse(question_id=f"{e}.{n}", group=str(e), sample=0, hallucinated=e % 2 == 1)
        for e, size in enumerate(sizes)
        for n in range(size)
    ]

    def mixed(given: Sequence[LabelledResponse]) -> int:
        """Groups with both labels."""
        return sum(len({r.hallucinated for r in given if r.group == str(e)}) == 2 for e in range(len(sizes)))

    first, again, other = (permuted(labelled, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert [(r.question_id, r.group) for r in first] == [(r.question_id, r.group) for r in labelled]
    for given in (first, other):
        assert sum(r.hallucinated for r in given) == sum(r.hallucinated for r in labelled)
        assert 0.3 < np.mean([a.hallucinated == b.hallucinated for a, b in zip(given, labelled, strict=True)]) < 0.7
        independent = [replace(r, hallucinated=bool(k)) for r, k in zip(labelled, np.random.default_rng(0).permutation(
            [r.hallucinated for r in labelled]), strict=True)]  # fmt: skip
        assert mixed(given) < mixed(independent)
    moved = [permuted(labelled, seed)[-1].hallucinated for seed in range(20)]
    assert set(moved) == {True, False}


EVERY = (OneVsOne(), ThreeVsOne(), OtherTokens(), LettersContrastive(), LettersForeseen())


@pytest.mark.parametrize("labeling", EVERY, ids=lambda labeling: labeling.name)
def test_wrong_responses_are_learnt_where_detectors_read_them(labeling: Labeling) -> None:
    """Trap 42: a probe that is fitted at one position and served at another."""
    learnt = labeling.rows(FOUND, LABELLED)
    read = region_rows(FOUND, LABELLED, labeling.tested)
    np.testing.assert_array_equal(learnt.columns([0, 1])[: len(LABELLED)], read.columns([0, 1]))
    np.testing.assert_array_equal(learnt.y[: len(LABELLED)], read.y)
    assert not learnt.y[len(LABELLED) :].any()


def test_rows_are_lines_of_what_was_stored_and_columns_are_copies() -> None:
    rows = ThreeVsOne().rows(FOUND, LABELLED)
    assert np.shares_memory(rows.table, FOUND.values)
    assert not np.shares_memory(rows.columns([0, 1]), FOUND.values)


def test_all_are_parts_that_say_what_they_need() -> None:
    assert all(isinstance(labeling, Labeling) for labeling in EVERY)
    assert [labeling.regions for labeling in EVERY] == [
        ("answer",), ("answer", "other"), ("other",), ("answer", "last_prompt"), ("last_prompt",),
    ]  # fmt: skip
    assert [labeling.letters for labeling in EVERY] == [False, False, False, True, True]
    assert isinstance(Shuffled(), Labeling)
