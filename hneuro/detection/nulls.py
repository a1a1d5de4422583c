"""The null of detection: control sets by the hundred, each with a detector of its own, and random sets that grow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.detector import train_detector
from hneuro.detection.scored import AnswerSet, shares
from hneuro.neurons import NeuronSpace
from hneuro.probe.controls import ControlKind, control_set, random_set
from hneuro.progress import track
from hneuro.result_records import Estimate
from hneuro.statistics import auroc_in_closed_form, youden_threshold

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # neurons of a random set
SETS_OF_A_SIZE = 10
COLUMN_BYTES = 256 << 20  # of neurons that are read at a time: of a large table only whole passes are fast

Null = Mapping[tuple[str, str], NDArray[np.float64]]  # (data set, metric) -> the value under each set


def control_sets(
    kind: ControlKind,
    space: NeuronSpace,
    like: Sequence[int],
    exclude: Collection[int],
    contribution: NDArray[np.float64],
    count: int,
    seed: int,
) -> list[tuple[int, ...]]:
    """`count` draws, each set once, so that p is what they allow at least. One neuron: all others of its layer."""
    if kind == "layer_matched" and len(like) == 1:
        start = space.locate(like[0])[0] * space.width
        return [(n,) for n in range(start, start + space.width) if n not in exclude]
    drawn = (control_set(kind, space, like, exclude, contribution, seed * 1000 + draw) for draw in range(count))
    return list(dict.fromkeys(drawn))


def null_of(
    chosen: Sequence[tuple[int, ...]], fit: AnswerSet, select: AnswerSet, sets: Sequence[AnswerSet], what: str
) -> Null:
    """What detectors on these sets of neurons say of each tested set: their AUROC, accuracy and so on."""
    found: dict[tuple[str, str], list[float]] = {}
    rows = sum(len(part.rows.y) for part in (fit, select, *sets))
    for block in track(list(_blocks(chosen, COLUMN_BYTES // (4 * max(1, rows)))), what):
        columns = np.array(sorted(set().union(*block)), dtype=np.intp)
        x_fit, x_select, *tested = (part.rows.columns(columns.tolist()) for part in (fit, select, *sets))
        for neurons in block:
            places = np.searchsorted(columns, neurons)
            scores, threshold = _scores(places, (x_fit, fit.rows.y), (x_select, select.rows.y), tested)
            for part, own in zip(sets, scores, strict=True):
                for metric, value in _values(part, own, threshold).items():
                    found.setdefault((part.name, metric), []).append(value)
    return {key: np.array(values) for key, values in found.items()}


def growing(
    space: NeuronSpace,
    exclude: Collection[int],
    fit: AnswerSet,
    select: AnswerSet,
    sets: Sequence[AnswerSet],
    seed: int,
) -> Iterator[tuple[int, Null]]:
    """More and more random neurons: does any set that is large enough read nearly as well?"""
    for size in SIZES:
        if 2 * size <= space.size - len(exclude):
            drawn = [random_set(space, size, exclude, seed * 1000 + draw) for draw in range(SETS_OF_A_SIZE)]
            yield size, null_of(list(dict.fromkeys(drawn)), fit, select, sets, f"detection: {size} random neurons")


def spread(values: NDArray[np.float64]) -> Estimate:
    """The mean over the sets, and the middle 95 % of them."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=len(values))
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(value=float(known.mean()), low=float(low), high=float(high), n=len(values))


def _blocks(chosen: Sequence[tuple[int, ...]], most: int) -> Iterator[list[tuple[int, ...]]]:
    """Sets that have at most `most` neurons together, or are alone."""
    block: list[tuple[int, ...]] = []
    for neurons in chosen:
        if block and sum(map(len, block)) + len(neurons) > most:
            yield block
            block = []
        block.append(neurons)
    if block:
        yield block


Labelled = tuple[NDArray[np.float32], NDArray[np.int8]]


def _scores(
    places: NDArray[np.intp], fit: Labelled, select: Labelled, tested: Sequence[NDArray[np.float32]]
) -> tuple[list[NDArray[np.float64]], float]:
    """Scores of the tested rows, and the threshold.

    The weight of a single neuron has the sign of its difference on the fit split, and ranks the same at any size.
    """
    if len(places) > 1:
        detector = train_detector(*fit, tuple(places.tolist()), *select)
        return [detector.scores(x) for x in tested], detector.threshold
    (place,), (x, y) = places, fit
    sign = np.sign(x[y == 1, place].mean(dtype=np.float64) - x[y == 0, place].mean(dtype=np.float64))
    on_select = sign * select[0][:, place].astype(np.float64)
    return [sign * t[:, place].astype(np.float64) for t in tested], youden_threshold(select[1], on_select)


def _values(tested: AnswerSet, scores: NDArray[np.float64], threshold: float) -> dict[str, float]:
    area = auroc_in_closed_form(tested.rows.y, scores, np.zeros(len(scores), dtype=np.intp))  # groups move no value
    return {"auroc": area.value} | {
        metric: hits / n for metric, (hits, n) in shares(tested, scores > threshold).items() if n
    }
