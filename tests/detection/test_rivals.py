"""What else could tell: each finds what it can read, chooses on select alone, and is at chance where it cannot know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hneuro.detection.rivals import RIVALS, Rival, RivalData, rivals
from hneuro.statistics import youden_threshold

LAYERS, TELLING = 4, 2  # the layer whose stream tells wrong from right


def rival_data(seed: int, n: int = 120, words: str = "which") -> RivalData:
    draw = np.random.default_rng(seed)
    y = (np.arange(n) % 2).astype(np.int8)
    hidden = draw.normal(size=(n, LAYERS, 30)).astype(np.float32)
    hidden[:, TELLING, 5] += 3 * y
    return RivalData(
        y=y,
        questions=tuple(f"{'obscure' if wrong else words} thing {k}?" for k, wrong in enumerate(y)),
        gold=tuple(f"The Gold {'x' if wrong else 'y'}{k % 6}" for k, wrong in enumerate(y)),
        said=tuple("unseen" if k > 60 else f"said {wrong}" for k, wrong in enumerate(y)),
        hidden=hidden,
    )


FIT, SELECT, TESTED = rival_data(0), rival_data(1), rival_data(2)


def found(*sets: RivalData) -> dict[str, Rival]:
    made = {rival.condition: rival for rival in rivals(FIT, SELECT, sets)}
    assert tuple(made) == RIVALS
    return made


def test_each_reads_what_it_can() -> None:
    made = found(TESTED)
    for name, rival in made.items():
        (scores,) = rival.scored().scores
        assert roc_auc_score(TESTED.y, scores) > (0.7 if name == "answer_lookup" else 0.95), name
    for name in ("residual_probe", "mean_difference"):
        assert f"layer {TELLING} of {LAYERS}, chosen on the select split" in made[name].note


def test_lookups_give_the_majority_of_fit_and_chance_where_unseen() -> None:
    (scores,) = found(TESTED)["answer_lookup"].scores
    assert set(scores[:61]) == {1.0, -1.0}
    assert scores[:4] == (-1.0, 1.0, -1.0, 1.0)
    tied = replace(TESTED, gold=("nobody asked this",) * 120, said=("Said, 1!",) * 120)
    made = found(tied)
    assert set(made["gold_lookup"].scores[0]) == {0.0}
    assert set(made["answer_lookup"].scores[0]) == {1.0}, "as normalised words"


@pytest.mark.parametrize("name", RIVALS)
def test_what_is_tested_changes_nothing_of_what_is_chosen(name: str) -> None:
    one, two = (found(*sets)[name] for sets in ((TESTED,), (replace(TESTED, y=1 - TESTED.y), FIT)))
    assert (one.threshold, one.note, one.scores[0]) == (two.threshold, two.note, two.scores[0])
    on_select = found(SELECT)[name]
    assert on_select.threshold == youden_threshold(SELECT.y, on_select.scores[0])
