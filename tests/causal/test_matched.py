"""Ways to suppress at the same reduction, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hneuro.causal.curves import Curve
from hneuro.causal.matched import matched, steps
from hneuro.results import ResultRow
from hneuro.statistics import mcnemar

N = 200


def curve(metric: str, rates: dict[float, float], lost: Sequence[int] = ()) -> Curve:
    """The first of the items are those that count, as many as the rate says; `lost` have no answer at the lowest."""
    values = np.array([[float(n < rate * N) for rate in rates.values()] for n in range(N)])
    values[list(lost), 0] = np.nan
    return Curve(metric, tuple(rates), values, np.array([str(n) for n in range(N)]), mcnemar)


PLAIN = {0.0: 0.2, 0.5: 0.4, 1.0: 0.8, 2.0: 0.9}  # takes away 40 points to 0.5, 60 to 0
KNOWN = {0.0: 0.5, 0.5: 0.9, 1.0: 1.0, 2.0: 0.9}


def rows(risky: dict[float, float], known: dict[float, float], **more: object) -> dict[str, ResultRow]:
    """At the smallest alpha, by metric."""
    found = matched(
        "doubt", "h_neurons@risky", (curve("compliance", PLAIN), curve("compliance", risky, **more)),  # type: ignore[arg-type]
        {"known_facts": (curve("accuracy", KNOWN), curve("accuracy", known))},
    )  # fmt: skip
    return {row.metric: row for row in found if row.alpha == 0.0}


def test_it_is_compared_where_plain_scaling_takes_away_as_much() -> None:
    found = rows({0.0: 0.6, 1.0: 0.8}, {0.0: 0.99, 1.0: 1.0})
    assert found["matched_reduction"].value == pytest.approx(0.2)
    assert found["matched_alpha"].value == pytest.approx(0.75)  # half of the way to the 40 points of 0.5
    assert found["matched_largest"].value == pytest.approx(0.6)
    assert found["matched_accuracy"].value == pytest.approx(0.99 - 0.95)
    assert (found["matched_accuracy"].stratum, found["matched_accuracy"].n) == ("known_facts", N)
    assert (found["matched_accuracy"].low or 0) > 0
    assert (found["matched_accuracy"].p_value or 1) < 0.05
    assert {row.dataset for row in found.values()} == {"doubt"}


def test_who_only_suppresses_less_keeps_no_more() -> None:
    """Against plain scaling at the same alpha it would be 49 points ahead."""
    found = rows({0.0: 0.6, 1.0: 0.8}, {0.0: 0.95, 1.0: 1.0})
    assert found["matched_accuracy"].value == pytest.approx(0)
    assert (found["matched_accuracy"].p_value or 0) > 0.3


def test_a_variant_that_does_nothing_is_set_against_the_untouched_model() -> None:
    found = rows({0.0: 0.8, 1.0: 0.8}, {0.0: 1.0, 1.0: 1.0})
    assert (found["matched_reduction"].value, found["matched_reduction"].p_value) == (0, 1.0)
    assert (found["matched_alpha"].value, found["matched_accuracy"].value) == (1.0, 0.0)


def test_a_reduction_that_plain_scaling_never_reaches_is_set_against_its_largest() -> None:
    found = rows({0.0: 0.0, 1.0: 0.8}, {0.0: 0.6, 1.0: 1.0})
    assert found["matched_reduction"].value > found["matched_largest"].value
    assert found["matched_alpha"].value == 0.0
    assert found["matched_accuracy"].value == pytest.approx(0.1)


def test_both_are_read_on_the_same_items_at_each_alpha_of_the_variant() -> None:
    found = rows({0.0: 0.6, 1.0: 0.8}, {0.0: 0.99, 1.0: 1.0}, lost=range(180, 200))
    assert found["matched_reduction"].n == 180
    assert found["matched_reduction"].value == pytest.approx(40 / 180)
    pair = curve("compliance", PLAIN), curve("compliance", {0.0: 0.6, 0.5: 0.7, 1.0: 0.8})
    assert [(r.alpha, r.metric) for r in matched("doubt", "h_neurons@risky", pair, {})] == [
        (alpha, f"matched_{name}") for alpha in (0.5, 0.0) for name in ("reduction", "alpha", "largest")
    ]


def test_without_the_untouched_model_or_any_whole_item_there_is_nothing_to_compare() -> None:
    there, gone = curve("compliance", PLAIN), curve("compliance", {0.0: 0.5, 1.0: 0.8}, lost=range(N))
    assert not list(matched("doubt", "h_neurons@risky", (there, gone), {}))
    assert not list(matched("doubt", "h_neurons@risky", (there, curve("compliance", {0.0: 0.5, 0.5: 0.8})), {}))


def test_the_smallest_change_that_takes_away_as_much_is_meant() -> None:
    """A curve may come back: what lies beyond is not needed."""
    reduced = np.array([[0.0], [0.4], [0.1], [0.6]])
    for wanted, place in ((-0.1, 0.0), (0.0, 0.0), (0.2, 0.5), (0.4, 1.0), (0.5, 2.8), (0.9, 3.0)):
        assert steps(reduced, np.array([wanted]))[0] == pytest.approx(place), wanted
