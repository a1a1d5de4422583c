"""One table of everything that could tell a hallucination, on the same rows: inside the model, its doubts, its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from hneuro.detection.scored import AnswerSet, equal_parts
from hneuro.neurons import BLOCK_BYTES, NeuronSpace
from hneuro.records import LabelledResponse, Response
from hneuro.result_records import Estimate, ResultRow
from hneuro.statistics import auroc, auroc_difference
from hneuro.verdicts.words import key, normal_words

MEASURES = ("active_share", "hoyer")
CARRIED = 0.9  # share of the contribution that the active neurons carry
# Each is turned so that more of it should mean a hallucination, whatever it turns out to mean.
SIGNALS = ("h_neurons", "logprob", "entropy", "unsure", "inconsistency", "active_share", "hoyer", "rarity")
COVARIATES = ("rarity", "logprob", "inconsistency")  # held fixed while the H-Neurons are asked for more
OWN, CONFIDENCE, RARITY = (SIGNALS.index(name) for name in ("h_neurons", "logprob", "rarity"))

Turn = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Reasons = Mapping[tuple[str, str], str]  # (set, signal) -> why some or all of its rows lack it


def as_signals(known: Mapping[str, NDArray[np.float64]], rows: int) -> NDArray[np.float64]:
    """[row, signal] from what was measured, by name and as it is; NaN for the rest.

    Log-probability and active share are negated, counts become -log(1 + count): the three fall where hallucination is
    expected. Nothing is fitted, so an AUROC below 0.5 says that a signal points the other way.
    """
    turned: Mapping[str, Turn] = {
        "logprob": np.negative,
        "active_share": np.negative,
        "rarity": lambda count: -np.log1p(count),
    }
    table = np.full((rows, len(SIGNALS)), np.nan)
    for name, values in known.items():
        table[:, SIGNALS.index(name)] = turned.get(name, np.asarray)(values)
    return table


def signal_rows(sets: Sequence[AnswerSet], reasons: Reasons) -> Iterator[ResultRow]:
    """AUROC of each signal on each set (`baselines` are its signals), paired with the H-Neurons' on the same rows.

    A signal that no row has is a row without a value, whose note is the reason. Where rows of two sets were put
    together, one may lack what the other has. Last: rarity against the answer's log-probability.
    """
    for tested in sets:
        y, groups = tested.rows.y, tested.rows.groups
        for place, name in enumerate(SIGNALS):
            score = tested.baselines[:, place]
            known = ~np.isnan(score)
            note = _note(known, reasons.get((tested.name, name), "not measured"))
            area = auroc(y[known], score[known], groups[known])
            yield replace(row_of(area, "auroc", tested.name, name), note=note)
        pairs = [(place, OWN) for place in range(len(SIGNALS)) if place != OWN]
        for one, other in [*pairs, (RARITY, CONFIDENCE)]:
            first, second = tested.baselines[:, one], tested.baselines[:, other]
            both = ~np.isnan(first) & ~np.isnan(second)
            if both.any():
                found, p = auroc_difference(y[both], first[both], second[both], groups[both])
                yield replace(row_of(found, f"auroc_minus_{SIGNALS[other]}", tested.name, SIGNALS[one]), p_value=p)


def remaining_rows(sets: Sequence[AnswerSet], folds: int, min_per_class: int, seed: int) -> Iterator[ResultRow]:
    """The incremental AUROC of the H-Neuron score over the covariates, on each set.

    Two logistic models, {log frequency, log-probability, inconsistency over samples} with and without the H-Neuron
    score, standardised, are cross-fitted: the risk of a row comes from models that saw no row of its fold, and folds
    keep entities together. AUROC compares rows within a fold alone, whose scores come from one model. The difference
    is paired, with interval and p from a bootstrap over entities, the models as they are. The score itself was trained
    on other entities. An added score that tells nothing costs a little: without an effect the difference is at 0 or
    just below.

    Next to it, the AUROC of the score among rows of one tenth of the risk that the covariates give ("within"): it says
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


def row_of(estimate: Estimate, metric: str, dataset: str, condition: str) -> ResultRow:
    return ResultRow.of(estimate, stage="mechanism", metric=metric, dataset=dataset, condition=condition)


def absent(metric: str, dataset: str, condition: str, reason: str) -> ResultRow:
    """A number that there is not, and why."""
    return ResultRow(
        stage="mechanism", metric=metric, dataset=dataset, condition=condition, value=float("nan"), note=reason
    )


def _note(known: NDArray[np.bool_], reason: str) -> str:
    if known.all():
        return ""
    return f"{(~known).sum()} of {len(known)} answers: {reason}" if known.any() else reason


def cluster_entropy(texts: Sequence[str]) -> float:
    """Entropy in nats over the clusters of texts with the same normalised words; 0 where all say the same.

    The discrete semantic entropy of Farquhar et al. (2024), with normalised equality in the place of entailment: for
    short answers, which are asked for. NaN for fewer than two texts.
    """
    if len(texts) < 2:
        return float("nan")
    sizes = np.array(list(Counter(key(normal_words(text)) for text in texts).values()), dtype=np.float64)
    shares = sizes / sizes.sum()
    return float(-(shares * np.log(shares)).sum()) + 0.0


def inconsistency(labelled: Sequence[LabelledResponse], responses: Sequence[Response]) -> NDArray[np.float64]:
    """`cluster_entropy` [row] of all responses to the question of each row; lost ones do not count."""
    texts: dict[str, list[str]] = {item.question_id: [] for item in labelled}
    for response in responses:
        if response.question_id in texts and not response.lost:
            texts[response.question_id].append(response.text)
    return np.array([cluster_entropy(texts[item.question_id]) for item in labelled])


def active_share(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Smallest share of the neurons that carries 90 % of the contribution: x [row, neuron], not negative -> [row].

    1 / neurons where one has it all, 0.9 where all are equal; NaN for a row of zeros.
    """
    carried = np.cumsum(np.sort(x, axis=-1)[:, ::-1], axis=-1, dtype=np.float64)
    total = carried[:, -1:]
    # Rounded sums may miss an exact share by a few units in the last place.
    count = 1 + (carried < CARRIED * total * (1 - 1e-12)).sum(-1)
    return np.where(total[:, 0] > 0, count / x.shape[-1], np.nan)


def hoyer(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Hoyer's index (2004): 0 where all neurons are equal, 1 where one has it all; NaN for a row of zeros. [row]."""
    one = np.abs(x).sum(-1, dtype=np.float64)
    two = np.sqrt(np.square(x, dtype=np.float64).sum(-1))
    root = np.sqrt(x.shape[-1])
    return np.asarray((root - np.divide(one, two, out=np.full(len(x), np.nan), where=two > 0)) / (root - 1))


def sparsity_of(table: NDArray[np.float32], lines: NDArray[np.intp], space: NeuronSpace) -> NDArray[np.float32]:
    """`MEASURES` [row, measure] of some vectors of a table of pooled CETT [vector, neuron] that may be larger than
    memory, a few at a time.
    """
    parts = (table[block] for block in _blocks(lines, space))
    found = [np.stack([active_share(x), hoyer(x)], axis=1) for x in parts]
    return np.concatenate([np.empty((0, len(MEASURES))), *found]).astype(np.float32)


def _blocks(lines: NDArray[np.intp], space: NeuronSpace) -> Iterator[NDArray[np.intp]]:
    height = max(1, BLOCK_BYTES // (4 * space.size))
    for start in range(0, len(lines), height):
        yield lines[start : start + height]
