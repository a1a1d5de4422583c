"""Rates, slopes and paired tests of a sweep, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from hneuro.causal.capability import KNOWN_FACTS
from hneuro.causal.effects import effects
from hneuro.records import Outcome, SweepAnswer
from hneuro.results import ResultRow
from hneuro.statistics import mcnemar, rate

C, R, U = Outcome.COMPLIES, Outcome.RESISTS, Outcome.UNPARSED
ALPHAS = (0.0, 1.0, 3.0)

# Item -> outcomes at the three alphas.
TABLE = {
    "a": (R, R, C),
    "b": (R, C, C),
    "c": (R, R, R),
    "d": (C, C, C),
    "e": (C, C, R),
    "f": (R, C, U),
    "g": (U, C, C),
    "h": (R, R, C),
}
# Item -> P(comply); "c" has no continuations to compare.
READ = {item: (0.1 + n / 20, 0.2 + n / 20, 0.4 + n / 25) for n, item in enumerate(TABLE) if item != "c"}


def sweep_of(
    table: dict[str, Sequence[Outcome]],
    read: dict[str, Sequence[float]],
    alphas: Sequence[float] = ALPHAS,
    neuron_set: str = "h_neurons",
    seed: int = 0,
    benchmark: str = "doubt",
) -> list[SweepAnswer]:
    return [
        SweepAnswer(
            item_id=item,
            benchmark=benchmark,
            neuron_set=neuron_set,
            seed=seed,
            alpha=alpha,
            text="",
            outcome=outcome,
            p_comply=read[item][n] if item in read else None,
            truncated=outcome is U,
        )
        for item, outcomes in table.items()
        for n, (alpha, outcome) in enumerate(zip(alphas, outcomes, strict=True))
    ]


ENTITIES = {item: item.upper() for item in TABLE} | {"b": "A"}  # "a" and "b" are about the same entity


@pytest.fixture(scope="module")
def found() -> tuple[ResultRow, ...]:
    return effects(sweep_of(TABLE, READ), ENTITIES)


def one(rows: Sequence[ResultRow], metric: str, alpha: float | None = None, **wanted: object) -> ResultRow:
    (row,) = [
        r for r in rows if (r.metric, r.alpha) == (metric, alpha) and all(getattr(r, k) == v for k, v in wanted.items())
    ]
    return row


def test_rates_leave_the_unparsed_out_and_count_them(found: tuple[ResultRow, ...]) -> None:
    """Trap 31: parse failures grow with alpha, and are neither compliance nor resistance."""
    for alpha, hits, parsed, lost in ((0.0, 2, 7, 1), (1.0, 5, 8, 0), (3.0, 5, 7, 1)):
        row, expected = one(found, "compliance", alpha), rate(hits, parsed)
        assert (row.value, row.low, row.high, row.n) == (expected.value, expected.low, expected.high, parsed)
        assert one(found, "unparsed", alpha).value == lost / 8
        assert one(found, "truncated", alpha).value == lost / 8


def test_slopes_are_least_squares_over_the_items_that_are_complete(found: tuple[ResultRow, ...]) -> None:
    complete = [[o is C for o in outcomes] for outcomes in TABLE.values() if U not in outcomes]
    assert len(complete) == 6
    slope = one(found, "slope_compliance")
    assert slope.value == pytest.approx(stats.linregress(ALPHAS, np.mean(complete, axis=0)).slope)
    assert slope.n == 6
    means = np.mean(list(READ.values()), axis=0)
    assert one(found, "slope_p_comply").value == pytest.approx(stats.linregress(ALPHAS, means).slope)


def test_changes_are_paired_and_tested_on_the_same_items(found: tuple[ResultRow, ...]) -> None:
    """Trap 46: a test of two rates that ignores the pairs is no test of a change."""
    change = one(found, "change_compliance")  # a, b and h turn to complying, e away
    assert (change.value, change.n) == (pytest.approx(2 / 6), 6)
    assert change.p_value == pytest.approx(stats.binomtest(3, 4).pvalue)
    read = one(found, "change_p_comply")
    moved = [last - first for first, _, last in READ.values()]
    assert read.value == pytest.approx(np.mean(moved))
    assert read.p_value == pytest.approx(stats.wilcoxon(moved).pvalue)


def test_both_arms_of_a_change_stand_beside_it(found: tuple[ResultRow, ...]) -> None:
    """Trap 30: from 0 to 1 is what suppression takes away, from 1 to 3 what amplification adds."""
    down, up = one(found, "change_to_1_compliance"), one(found, "change_from_1_compliance")
    assert down.value == pytest.approx(1 / 6)  # b
    assert up.value == pytest.approx(1 / 6)  # a and h, less e
    assert down.value + up.value == pytest.approx(one(found, "change_compliance").value)
    assert down.p_value == 1.0
    assert up.p_value == pytest.approx(mcnemar([0, 0, 1], [1, 1, 0]))


@pytest.mark.parametrize("alphas", [(0.0, 0.5, 3.0), (1.0, 2.0, 3.0), (0.0, 0.5, 1.0)])
def test_there_are_no_arms_without_a_middle(alphas: tuple[float, ...]) -> None:
    metrics = {row.metric for row in effects(sweep_of(TABLE, READ, alphas), ENTITIES)}
    assert "change_compliance" in metrics
    assert not any("_1_" in metric for metric in metrics)


def test_intervals_keep_the_items_of_an_entity_together() -> None:
    """Trap 39."""
    table = {str(n): (R, C) if n % 3 else (R, R) for n in range(30)}
    alone = effects(sweep_of(table, {}, (0.0, 1.0)), {item: item for item in table})
    together = effects(sweep_of(table, {}, (0.0, 1.0)), {item: str(int(item) % 3) for item in table})
    narrow, wide = one(alone, "change_compliance"), one(together, "change_compliance")
    assert narrow.value == wide.value
    assert narrow.low > wide.low
    assert narrow.high < wide.high


def test_probabilities_have_their_own_rows(found: tuple[ResultRow, ...]) -> None:
    for n, alpha in enumerate(ALPHAS):
        row = one(found, "p_comply", alpha)
        assert row.value == pytest.approx(np.mean([values[n] for values in READ.values()]))
        assert row.n == 7


def test_without_continuations_there_are_no_probabilities() -> None:
    assert not any("p_comply" in row.metric for row in effects(sweep_of(TABLE, {}), ENTITIES))


def test_known_facts_are_called_accuracy() -> None:
    rows = effects(sweep_of(TABLE, {}, benchmark=KNOWN_FACTS), ENTITIES)
    assert one(rows, "accuracy", 1.0).value == 5 / 8
    assert not any("compliance" in row.metric for row in rows)


def test_a_benchmark_that_was_never_parsed_has_no_trend() -> None:
    rows = effects(sweep_of({"a": (U, U, U), "b": (U, C, U)}, {}), ENTITIES)
    assert {row.metric for row in rows} == {"compliance", "unparsed", "truncated"}
    assert np.isnan(one(rows, "compliance", 0.0).value)
    assert one(rows, "compliance", 0.0).n == 0
    assert one(rows, "unparsed", 0.0).value == 1.0


def test_nothing_that_moves_is_no_effect() -> None:
    still = dict.fromkeys(TABLE, (C, C, C))
    rows = effects(sweep_of(still, dict.fromkeys(still, (0.7, 0.7, 0.7))), ENTITIES)
    for metric in ("compliance", "p_comply"):
        assert one(rows, f"slope_{metric}").value == 0.0
        assert one(rows, f"change_{metric}").p_value == 1.0


def test_sets_seeds_and_benchmarks_stay_apart() -> None:
    """Traps 27 and 29: every control set has its own curve, and a flat one says so."""
    draw = np.random.default_rng(0)
    answers: list[SweepAnswer] = []
    items = [str(n) for n in range(60)]
    rising = {i: (R, C if draw.random() < 0.5 else R, C if draw.random() < 0.95 else R) for i in items}
    answers += sweep_of(rising, {})
    for seed in range(3):
        flat = {}
        for i in items:
            same = C if draw.random() < 0.5 else R
            flat[i] = (same, same, (R if same is C else C) if draw.random() < 0.1 else same)
        answers += sweep_of(flat, {}, neuron_set="h_neurons/random", seed=seed)
    answers += sweep_of(rising, {}, benchmark="false_premise")
    rows = effects(answers[::-1], {i: i for i in items})
    own = one(rows, "slope_compliance", condition="h_neurons", dataset="doubt")
    assert own.seed is None
    assert own.low is not None
    assert own.low > 0.2
    assert one(rows, "change_compliance", condition="h_neurons", dataset="doubt").p_value < 1e-6
    for seed in range(3):
        control = one(rows, "slope_compliance", condition="h_neurons/random", seed=seed)
        assert control.low <= 0 <= control.high
        assert abs(control.value) < 0.1
    assert {row.dataset for row in rows} == {"doubt", "false_premise"}
    assert all(row.stage == "causal" for row in rows)
