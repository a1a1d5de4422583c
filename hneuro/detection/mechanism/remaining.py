"""What is left of the H-Neurons where frequency and confidence are held fixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from hneuro.detection.mechanism.signals import OWN, SIGNALS, absent, row_of
from hneuro.detection.scored import AnswerSet, equal_parts
from hneuro.result_records import ResultRow
from hneuro.statistics import auroc, auroc_difference

COVARIATES = ("rarity", "logprob", "inconsistency")


def remaining_rows(sets: Sequence[AnswerSet], folds: int, min_per_class: int, seed: int) -> Iterator[ResultRow]:
    """The incremental AUROC of the H-Neuron score over the covariates, on each set.

    Two logistic models, {log frequency, log-probability, inconsistency over samples} with and without the H-Neuron
    score, standardised, are cross-fitted: the risk of a row comes from models that saw no row of its fold, and folds
    keep entities together. AUROC compares rows within a fold alone, whose scores come from one model. The difference
    is paired, with interval and p from a bootstrap over entities, the models as they are. The score itself was trained
    on other entities. An added score that tells nothing costs a little: without an effect the difference is at 0 or
    just below.

    Beside it, the AUROC of the score among rows of one tenth of the risk that the covariates give ("within"): it says
    what the score knows even where the difference has no room left. Covariates that a set lacks altogether are left
    out, and the note names those that were held fixed.
    """
    for tested in sets:
        columns = [SIGNALS.index(name) for name in COVARIATES]
        held = [column for column in columns if not np.isnan(tested.baselines[:, column]).all()]
        table = tested.baselines[:, [*held, OWN]]
        known = ~np.isnan(table).any(1)
        y, groups, table = tested.rows.y[known], tested.rows.groups[known], table[known]
        reason = _too_few(held, y, groups, min_per_class, folds)
        fold = entity_folds(y, groups, folds, seed) if not reason else np.empty(0, dtype=np.intp)
        if any(len(set(y[fold != place].tolist())) < 2 for place in np.unique(fold)):
            reason = "its entities cannot be parted so that every fold leaves both kinds of answers"
        if reason:
            yield absent("auroc_minus_covariates", tested.name, "covariates+h_neurons", reason)
            continue  # its row says why
        without, together = (cross_fitted(x, y, fold) for x in (table[:, :-1], table))
        note = "held fixed: " + ", ".join(SIGNALS[column] for column in held)
        gain, p = auroc_difference(y, together, without, groups, strata=fold)
        for condition, score in (("covariates", without), ("covariates+h_neurons", together)):
            area = row_of(auroc(y, score, groups, fold), "auroc", tested.name, condition)
            yield replace(area, note=note)
        added = row_of(gain, "auroc_minus_covariates", tested.name, "covariates+h_neurons")
        yield replace(added, p_value=p, note=note)
        within = auroc(y, table[:, -1], groups, equal_parts(without))
        yield replace(row_of(within, "auroc_within_covariates", tested.name, "h_neurons"), note=note)


def entity_folds(y: NDArray[np.int8], groups: NDArray[np.str_], folds: int, seed: int) -> NDArray[np.intp]:
    """The fold [row] of each row; entities are whole, and classes as even as they allow."""
    fold = np.empty(len(y), dtype=np.intp)
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(y[:, None], y, groups)
    for place, (_, held_out) in enumerate(parts):
        fold[held_out] = place
    return fold


def cross_fitted(x: NDArray[np.float64], y: NDArray[np.int8], fold: NDArray[np.intp]) -> NDArray[np.float64]:
    """Log-odds [row] from logistic models of x [row, feature] that were fitted on the other folds."""
    scores = np.full(len(y), np.nan)
    for place in np.unique(fold):
        here = fold == place
        centre, spread = x[~here].mean(0), x[~here].std(0)
        spread = np.where(spread > 0, spread, 1.0)
        model = LogisticRegression(C=1.0, max_iter=5000).fit((x[~here] - centre) / spread, y[~here])
        scores[here] = model.decision_function((x[here] - centre) / spread)
    return scores


def _too_few(held: Sequence[int], y: NDArray[np.int8], groups: NDArray[np.str_], needed: int, folds: int) -> str:
    if not held:
        return "neither frequency nor confidence is known"
    for label, kind in ((1, "hallucinated"), (0, "faithful")):
        rows, entities = int((y == label).sum()), len(set(groups[y == label].tolist()))
        if rows < needed or entities < folds:
            return f"only {rows} {kind} answers about {entities} entities of which everything is known"
    return ""
