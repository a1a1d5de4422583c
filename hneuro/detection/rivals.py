"""What else could tell, on the same rows and splits: the words of the question, lookups, the whole residual stream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hneuro.detection.scored import Scored
from hneuro.statistics import youden_threshold
from hneuro.verdicts.words import normal_words

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # C of the probe on the residual stream, which has far more columns than rows
RIVALS = ("bag_of_words", "gold_lookup", "answer_lookup", "residual_probe", "mean_difference")

Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RivalData:
    """What rivals read of the answers of a set."""

    y: NDArray[np.int8]  # [row]
    questions: tuple[str, ...]
    gold: tuple[str, ...]  # "" where there is none
    said: tuple[str, ...]  # the answer tokens as text
    hidden: NDArray[np.float32]  # [row, layer, hidden]: mean of the residual stream where detectors read


@dataclass(frozen=True, kw_only=True)
class Rival:
    """`Scored` as it is kept. `note`: what was chosen on the select split."""

    condition: str
    scores: tuple[tuple[float, ...], ...]
    threshold: float
    note: str

    def scored(self) -> Scored:
        scores = tuple(np.array(own, dtype=np.float64) for own in self.scores)
        return Scored(condition=self.condition, scores=scores, threshold=self.threshold, note=self.note)


def rivals(fit: RivalData, select: RivalData, sets: Sequence[RivalData]) -> Iterator[Rival]:
    """Each is trained on the fit split and takes layer, strength and threshold from select, as detectors do."""
    every = (select, *sets)
    words = make_pipeline(CountVectorizer(analyzer=_words, binary=True), LogisticRegression(C=1.0, max_iter=5000))
    words.fit(fit.questions, fit.y)
    yield _rival("bag_of_words", [words.decision_function(t.questions) for t in every], select)
    yield _rival("gold_lookup", [_looked_up(fit.gold, fit.y, t.gold) for t in every], select)
    yield _rival("answer_lookup", [_looked_up(fit.said, fit.y, t.said) for t in every], select)
    layers = fit.hidden.shape[1]
    probes = (_probe(fit, every, layer, strength) for layer, strength in product(range(layers), STRENGTHS))
    yield _best("residual_probe", probes, select, layers)
    yield _best("mean_difference", (_mean_difference(fit, every, layer) for layer in range(layers)), select, layers)


def _words(text: str) -> list[str]:
    return normal_words(text) or [text]


def _looked_up(fitted: Sequence[str], y: NDArray[np.int8], asked: Sequence[str]) -> Scores:
    """1 and -1 for what was mostly wrong and mostly right on the fit split, 0 for what was neither, or never seen."""
    balance: dict[Hashable, int] = defaultdict(int)
    for text, wrong in zip(fitted, y, strict=True):
        balance[tuple(normal_words(text))] += 1 if wrong else -1
    return np.sign([balance.get(tuple(normal_words(text)), 0) for text in asked]).astype(np.float64)


def _probe(fit: RivalData, every: Sequence[RivalData], layer: int, strength: float) -> tuple[int, list[Scores]]:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
    model.fit(fit.hidden[:, layer], fit.y)
    return layer, [model.decision_function(t.hidden[:, layer]) for t in every]


def _mean_difference(fit: RivalData, every: Sequence[RivalData], layer: int) -> tuple[int, list[Scores]]:
    x = fit.hidden[:, layer].astype(np.float64)
    direction = x[fit.y == 1].mean(0) - x[fit.y == 0].mean(0)
    return layer, [t.hidden[:, layer].astype(np.float64) @ direction for t in every]


def _best(name: str, found: Iterator[tuple[int, list[Scores]]], select: RivalData, layers: int) -> Rival:
    """That of the highest AUROC on the select split; the earliest of several."""
    layer, scores = max(found, key=lambda one: float(roc_auc_score(select.y, one[1][0])))
    return _rival(
        name, scores, select, f"{name.replace('_', ' ')}: layer {layer} of {layers}, chosen on the select split"
    )


def _rival(name: str, scores: Sequence[Scores], select: RivalData, note: str = "") -> Rival:
    on_select, *tested = scores
    return Rival(
        condition=name,
        scores=tuple(tuple(float(value) for value in own) for own in tested),
        threshold=youden_threshold(select.y, on_select),
        note=note,
    )
