"""Which vectors become rows, with which labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from hneuro.neurons import Contributions, NeuronSpace
from hneuro.probe.labeling import (
    Labeling,
    LettersContrastive,
    LettersForeseen,
    OneVsOne,
    OtherTokens,
    ThreeVsOne,
    permuted,
    region_rows,
)
from hneuro.records import LabelledResponse

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


@pytest.mark.parametrize(
    ("labeling", "own", "contrast", "letters"),
    [
        (OneVsOne(), "answer", None, False),
        (ThreeVsOne(), "answer", "other", False),
        (OtherTokens(), "other", None, False),
        (LettersContrastive(), "answer", "last_prompt", True),
        (LettersForeseen(), "last_prompt", None, True),
    ],
    ids=lambda given: getattr(given, "name", given),
)
def test_wrong_vectors_of_one_region_are_set_against_right_ones_and_against_all_of_another(
    labeling: Labeling, own: str, contrast: str | None, letters: bool
) -> None:
    """And detectors read what the probe has learnt to read."""
    places = {"other": 1, "answer": 0, "last_prompt": 2}
    regions = [own] if contrast is None else [own, contrast]
    rows = labeling.rows(FOUND, LABELLED)
    expected = [[n, places[region]] for region in regions for n in (4, 0, 2, 1)]
    np.testing.assert_array_equal(rows.columns([0, 1]), expected)
    assert rows.columns([0, 1]).dtype == np.float32
    assert rows.y.tolist() == [1, 0, 1, 0] + [0] * 4 * (len(regions) - 1)
    assert rows.groups.tolist() == ["X", "Y", "X", "Z"] * len(regions)
    assert isinstance(labeling, Labeling)
    assert (labeling.tested, labeling.regions, labeling.letters) == (own, tuple(regions), letters)
    read = region_rows(FOUND, LABELLED, labeling.tested)
    np.testing.assert_array_equal(read.columns([0, 1]), rows.columns([0, 1])[:4])


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
