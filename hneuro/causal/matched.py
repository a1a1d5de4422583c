"""Ways to suppress compared at the same reduction of compliance: which of them keeps more of what the model can do?

Who suppresses less pays less. So a variant is set against the plain scaling of the same neurons at that alpha at which
it takes away as much compliance: between the alphas of the grid on straight lines, from 1 down to where they get there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.curves import Curve
from hneuro.results import ResultRow
from hneuro.statistics import against_zero, group_weights

Values = NDArray[np.float64]
Pair = tuple[Curve, Curve]  # of the plain scaling and of a variant, on the same items
COMPLIANCE, COST = 1, 0  # seeds: what is resampled of the one says nothing of the other


@dataclass(frozen=True)
class Means:
    """Of a neuron set at its alphas from 1 down: [alpha, 1 + resample], of all items first, then of each resample."""

    alphas: tuple[float, ...]
    values: Values
    n: int
    groups: int


def matched(benchmark: str, condition: str, compliance: Pair, costs: Mapping[str, Pair]) -> Iterator[ResultRow]:
    """Rows of a variant (`condition`) at each alpha below 1, on the items that have an answer under both at all alphas.

    "matched_reduction": compliance at 1 minus that under the variant; "matched_alpha": where plain scaling takes away
    as much; "matched_largest": the most that it takes away. If that is less, the comparison is made there. For each of
    `costs`, by the name of its set: what the variant has more of than plain scaling at that alpha, such as
    "matched_accuracy". Intervals and p: bootstrap over entities, of the benchmark and of the costs, each on its own.
    """
    means = _means(compliance, COMPLIANCE)
    if means is None:
        return
    plain, variant = (Means(m.alphas, m.values[:1] - m.values, m.n, m.groups) for m in means)
    spent = {(pair[0].metric, name): found for name, pair in costs.items() if (found := _means(pair, COST)) is not None}
    for place, alpha in enumerate(variant.alphas):
        if alpha == 1.0:
            continue
        step = steps(plain.values, variant.values[place])
        rows = {
            ("matched_reduction", ""): (variant.values[place], plain),
            ("matched_alpha", ""): (_between(np.array(plain.alphas)[:, None], step), plain),
            ("matched_largest", ""): (plain.values.max(axis=0), plain),
        }
        for (metric, name), (whole, part) in spent.items():
            rows[f"matched_{metric}", name] = part.values[place] - _between(whole.values, step), whole
        for (metric, stratum), (values, of) in rows.items():
            estimate, p = against_zero(float(values[0]), values[1:], of.n, of.groups)
            tested = p if metric not in ("matched_alpha", "matched_largest") else None
            yield ResultRow.of(
                estimate,
                stage="causal",
                metric=metric,
                dataset=benchmark,
                condition=condition,
                alpha=alpha,
                p_value=tested,
                stratum=stratum,
            )


def steps(reduced: Values, wanted: Values) -> Values:
    """[resample]: the first place on `reduced` [step, resample], which begins with 0, that gets as far as wanted.

    Where none does, that of the largest; 0 where nothing is wanted, or less.
    """
    place = reduced.argmax(axis=0).astype(np.float64)
    for step in reversed(range(len(reduced) - 1)):
        low, high = reduced[step], reduced[step + 1]
        passes = (low < wanted) & (wanted <= high)
        part = np.divide(wanted - low, high - low, out=np.zeros_like(wanted), where=passes)
        place = np.where(passes, step + part, place)
    return np.where(wanted <= 0, 0.0, place)


def _between(values: Values, step: Values) -> Values:
    """`values` [step, resample or 1] at a place between two steps, on the straight line."""
    low = np.minimum(step.astype(int), len(values) - 1)
    high = np.minimum(low + 1, len(values) - 1)
    first, second = (np.take_along_axis(np.broadcast_to(values, (len(values), len(step))), k[None], 0)[0]
                     for k in (low, high))  # fmt: skip
    return np.asarray(first + (step - low) * (second - first))


def _means(pair: Pair, seed: int) -> tuple[Means, Means] | None:
    """On the same items and the same resamples of their entities; None where no item has all answers."""
    curves = [curve.at(sorted((a for a in curve.alphas if a <= 1), reverse=True)) for curve in pair]
    both = curves[0].complete & curves[1].complete
    if not both.any() or any(curve.alphas[:1] != (1.0,) for curve in curves):
        return None
    weights = np.column_stack([np.ones(both.sum()), group_weights(curves[0].groups[both], seed=seed)])
    groups = len(np.unique(curves[0].groups[both]))
    plain, variant = (
        Means(curve.alphas, curve.values[both].T @ weights / weights.sum(axis=0), int(both.sum()), groups)
        for curve in curves
    )
    return plain, variant
