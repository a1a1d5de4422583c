"""Rates, slopes and paired tests of a sweep, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hneuro.causal.benchmarks.base import Measure, degenerate
from hneuro.causal.effects import effects
from hneuro.causal.grid import UNTOUCHED
from hneuro.records import Outcome, Reading, SweepAnswer
from hneuro.report.causal_verdicts import changes
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import Word
from hneuro.result_records import ResultRow, Results
from hneuro.significance import mcnemar
from hneuro.statistics import rate

Swept = list[tuple[SweepAnswer, Reading]]

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
) -> Swept:
    """Answers with their readings; alpha = 1 is the untouched model's."""
    return [
        (
            SweepAnswer(
                item_id=item,
                neuron_set=UNTOUCHED if alpha == 1.0 else neuron_set,
                seed=0 if alpha == 1.0 else seed,
                alpha=alpha,
                replies=("round and round it goes, " * 5 if outcome is U else "yes",),
                p_comply=read[item][n] if item in read else None,
                truncated=outcome is U,
            ),
            Reading(outcome=outcome),
        )
        for item, outcomes in table.items()
        for n, (alpha, outcome) in enumerate(zip(alphas, outcomes, strict=True))
    ]


def effects_of(
    swept: Swept, entity_of: Mapping[str, str], measures: Measure = "compliance", benchmark: str = "doubt"
) -> tuple[ResultRow, ...]:
    return effects([a for a, _ in swept], [r for _, r in swept], benchmark, measures, entity_of)


ENTITIES = {item: item.upper() for item in TABLE} | {"b": "A"}  # "a" and "b" are about the same entity


@pytest.fixture(scope="module")
def found() -> tuple[ResultRow, ...]:
    return effects_of(sweep_of(TABLE, READ), ENTITIES)


def one(rows: Sequence[ResultRow], metric: str, alpha: float | None = None, **wanted: object) -> ResultRow:
    (row,) = [
        r for r in rows if (r.metric, r.alpha) == (metric, alpha) and all(getattr(r, k) == v for k, v in wanted.items())
    ]
    return row


def test_what_cannot_be_read_does_not_comply_and_is_counted(found: tuple[ResultRow, ...]) -> None:
    """Parse failures grow with alpha, and are neither compliance nor resistance."""
    for alpha, hits, parsed, lost in ((0.0, 2, 7, 1), (1.0, 5, 8, 0), (3.0, 5, 7, 1)):
        for metric, n in (("compliance", 8), ("compliance_complete", parsed)):
            row, expected = one(found, metric, alpha), rate(hits, n)
            assert (row.value, row.low, row.high, row.n) == (expected.value, expected.low, expected.high, n)
        assert one(found, "unparsed", alpha).value == lost / 8
        assert one(found, "truncated", alpha).value == lost / 8
        assert one(found, "degenerate", alpha).value == lost / 8


def test_slopes_are_least_squares_over_all_items_and_over_those_that_are_complete(
    found: tuple[ResultRow, ...],
) -> None:
    every = [[o is C for o in outcomes] for outcomes in TABLE.values()]
    complete = [[o is C for o in outcomes] for outcomes in TABLE.values() if U not in outcomes]
    for metric, values, n in (("slope_compliance", every, 8), ("slope_compliance_complete", complete, 6)):
        slope = one(found, metric)
        assert slope.value == pytest.approx(stats.linregress(ALPHAS, np.mean(values, axis=0)).slope)
        assert slope.n == n
    means = np.mean(list(READ.values()), axis=0)
    assert one(found, "slope_p_comply").value == pytest.approx(stats.linregress(ALPHAS, means).slope)


def test_changes_are_paired_and_tested_on_the_same_items(found: tuple[ResultRow, ...]) -> None:
    """A test of two rates that ignores the pairs is no test of a change."""
    change = one(found, "change_compliance")  # a, b, g and h turn to complying, e away
    assert (change.value, change.n) == (pytest.approx(3 / 8), 8)
    assert change.p_value == 8 / 16  # a and b are about one entity: 2 + 1 + 1 - 1, and no sign makes more but all
    change = one(found, "change_compliance_complete")  # without f and g
    assert (change.value, change.n) == (pytest.approx(2 / 6), 6)
    assert change.p_value == 6 / 8
    read = one(found, "change_p_comply")
    moved = [last - first for first, _, last in READ.values()]
    assert read.value == pytest.approx(np.mean(moved))
    assert read.p_value == 2 / 2**6  # all rise


def test_the_bounds_of_a_change_say_what_hangs_on_the_unread(found: tuple[ResultRow, ...]) -> None:
    """f is lost at the end, g at the beginning."""
    assert one(found, "change_compliance_low").value == pytest.approx(2 / 8)
    assert one(found, "change_compliance_high").value == pytest.approx(4 / 8)
    assert one(found, "change_from_1_compliance_low").value == one(found, "change_from_1_compliance").value
    assert one(found, "change_from_1_compliance_high").value == pytest.approx(1 / 8)
    read = effects_of(sweep_of({"a": (R, R, C), "b": (C, C, C)}, {}), {"a": "a", "b": "b"})
    assert {one(read, f"change_compliance{bound}").value for bound in ("", "_low", "_high", "_complete")} == {0.5}


def verdicts_of(table: dict[str, Sequence[Outcome]]) -> set[Word]:
    """The verdicts on the whole change and on both arms, compared with control sets that do nothing."""
    answers = sweep_of(table, {})
    still = {item: [outcomes[1]] * 3 for item, outcomes in table.items()}
    for seed in range(5):
        answers += [a for a in sweep_of(still, {}, neuron_set="h_neurons/random", seed=seed) if a[0].alpha != 1.0]
    rows = effects_of(answers, {item: item for item in table})
    page = Results(title="", facts={}, rows=rows, funnel=(), path=(), neurons=(), neurons_by_layer=(), stability=None,
                   responses=())  # fmt: skip
    (change,) = changes(Tidy(page), "h_neurons", "compliance")
    return {change.word, *(arm.word for arm in change.arms.values())}


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_what_only_breaks_text_has_no_effect(complying: float, first: float, last: float, seed: int) -> None:
    """However much it breaks, at either end."""
    draw = np.random.default_rng(seed)
    table = {}
    for item in map(str, range(80)):
        said = C if draw.random() < complying else R
        table[item] = (U if draw.random() < first else said, said, U if draw.random() < last else said)
    assert verdicts_of(table) <= {Word.NO_EFFECT, Word.UNREAD}


def test_the_shares_of_all_kinds_of_answers_add_up_to_one() -> None:
    kinds = {
        "a": Reading(outcome=U, reason="both: ..."),
        "b": Reading(outcome=U, reason="cut: ..."),
        "c": Reading(outcome=U, reason="some judge failed: why"),
        "d": Reading(outcome=Outcome.EXCLUDED),
        "e": Reading(outcome=Outcome.REFUSED),
        "f": Reading(outcome=U, reason="derailed: ..."),
    }
    swept = [(a, kinds[a.item_id] if a.item_id in kinds and a.alpha == 3.0 else r) for a, r in sweep_of(TABLE, {})]
    rows = [r for r in effects_of(swept, ENTITIES) if r.metric.startswith("share_")]
    at = {(r.metric.removeprefix("share_"), r.alpha): r.value for r in rows}
    for alpha in ALPHAS:
        assert sum(value for (_, other), value in at.items() if other == alpha) == pytest.approx(1)
    assert (
        at["both", 3.0] == at["cut", 3.0] == at["unparsed", 3.0] == at["derailed", 3.0] == at["refused", 3.0] == 1 / 7
    )
    assert (at["both", 0.0], at["complies", 3.0], at["resists", 3.0]) == (0.0, 2 / 7, 0.0)


def test_both_arms_of_a_change_stand_beside_it(found: tuple[ResultRow, ...]) -> None:
    """From 0 to 1 is what suppression takes away, from 1 to 3 what amplification adds."""
    down, up = one(found, "change_to_1_compliance"), one(found, "change_from_1_compliance")
    assert down.value == pytest.approx(3 / 8)  # b, f and g
    assert up.value == 0  # a and h, less e and f
    assert down.value + up.value == pytest.approx(one(found, "change_compliance").value)
    assert down.p_value == pytest.approx(mcnemar([0, 0, 0], [1, 1, 1]))
    assert up.p_value == 1.0


def test_every_alpha_is_tested_against_the_untouched_model() -> None:
    """On the same prompts: all of them."""
    alphas = (0.0, 0.5, 1.0, 3.0)
    table = {str(n): (R, R if n < 4 else C, C, C) for n in range(8)} | {"lost": (R, R, C, U)}
    read = {item: (0.1 + n / 50, 0.3, 0.4 + n / 90, 0.9) for n, item in enumerate(table)}
    rows = effects_of(sweep_of(table, read, alphas), {item: item for item in table})
    for alpha, gone in ((0.0, 9), (0.5, 5), (3.0, 1)):
        row = one(rows, "minus_untouched_compliance", alpha, condition="h_neurons", seed=None)
        assert (row.value, row.n) == (-gone / 9, 9)
        assert row.p_value == pytest.approx(stats.binomtest(0, gone).pvalue if gone else 1.0)
        assert row.low <= row.value <= row.high
        moved = [values[alphas.index(alpha)] - values[2] for values in read.values()]
        told = one(rows, "minus_untouched_p_comply", alpha)
        assert told.value == pytest.approx(np.mean(moved))
        assert told.p_value == pytest.approx(stats.wilcoxon(moved).pvalue)
    assert not [row for row in rows if row.metric.startswith("minus_untouched") and row.alpha == 1.0]


def test_known_facts_are_called_accuracy() -> None:
    """A refusal is no right answer there, and does not comply elsewhere."""
    table = TABLE | {"a": (R, R, Outcome.REFUSED)}
    rows = effects_of(sweep_of(table, {}), ENTITIES, "accuracy")
    assert one(rows, "accuracy", 1.0).value == 5 / 8
    assert (one(rows, "accuracy", 3.0).value, one(rows, "accuracy", 3.0).n) == (4 / 8, 8)
    assert one(rows, "refused", 3.0).value == 1 / 8
    assert not any("compliance" in row.metric for row in rows)
    rows = effects_of(sweep_of(table, {}), ENTITIES)
    assert (one(rows, "compliance", 3.0).value, one(rows, "compliance", 3.0).n) == (4 / 8, 8)
    assert (one(rows, "compliance_complete", 3.0).value, one(rows, "compliance_complete", 3.0).n) == (4 / 6, 6)
    rows = effects_of(sweep_of(table, {}), ENTITIES, "over_refusal")
    assert (one(rows, "over_refusal", 3.0).value, one(rows, "over_refusal", 3.0).n) == (1 / 8, 8)


def test_grades_have_their_own_curve() -> None:
    grades = (0.25, 0.5, 1.0)
    swept = [(a, replace(r, grade=grades[ALPHAS.index(a.alpha)])) for a, r in sweep_of(TABLE, {})]
    rows = effects_of(swept, ENTITIES)
    assert [one(rows, "grade", alpha).value for alpha in ALPHAS] == [0.25, 0.5, 1.0]
    assert one(rows, "change_grade").value == 0.75
    assert one(rows, "change_grade").p_value == 2 / 2**7  # seven entities
    lost = [(a, replace(r, grade=None) if r.outcome is U else r) for a, r in swept]  # f at the end, g at the beginning
    rows = effects_of(lost, ENTITIES)
    assert [one(rows, f"change_grade{bound}").value * 8 for bound in ("_low", "", "_high")] == [
        6 * 0.75 - 0.25 + 0.0, 6 * 0.75 - 0.25 + 1.0, 6 * 0.75 + 0.75 + 1.0
    ]  # fmt: skip
    assert one(rows, "grade", 0.0).n == 8


def test_slopes_are_set_against_those_of_the_controls() -> None:
    """At the alphas of the controls, kind by kind."""
    rising = {str(n): (R, R, C if n < 6 else R, C) for n in range(10)}
    answers = sweep_of(rising, {}, (0.0, 1.0, 2.0, 3.0))
    flat = dict.fromkeys(rising, (R, R, R))
    steep = dict.fromkeys(rising, (R, R, C))
    for seed, table in enumerate((flat, flat, steep)):
        answers += [a for a in sweep_of(table, {}, neuron_set="h_neurons/random", seed=seed) if a[0].alpha != 1.0]
    answers += [a for a in sweep_of(flat, {}, neuron_set="h_neurons/layer_matched") if a[0].alpha != 1.0]
    rows = effects_of(answers, {item: item for item in rising})
    random = one(rows, "slope_against_compliance", stratum="h_neurons/random")
    assert random.value == pytest.approx(stats.linregress((0, 1, 3), (0, 0, 1)).slope)
    assert random.condition == "h_neurons"
    assert random.p_value == 1.0  # one of three is as steep: no tail is small
    assert one(rows, "slope_against_compliance", stratum="h_neurons/layer_matched").p_value == 1.0
    assert one(rows, "slope_compliance", condition="h_neurons").value != random.value


def test_a_variant_is_set_against_plain_scaling() -> None:
    plain = {str(n): (R, C) for n in range(8)}
    gentle = {item: (R if item < "2" else C, C) for item in plain}
    answers = sweep_of(plain, {}, (0.0, 1.0))
    answers += [a for a in sweep_of(gentle, {}, (0.0, 1.0), neuron_set="h_neurons@mean") if a[0].alpha != 1.0]
    rows = effects_of(answers, {item: item for item in plain})
    row = one(rows, "minus_plain_compliance")
    assert (row.condition, row.value, row.seed) == ("h_neurons@mean", 0.75, None)
    assert row.p_value == pytest.approx(stats.binomtest(6, 6).pvalue)
    assert one(rows, "change_compliance", condition="h_neurons@mean").value == 0.25


@pytest.mark.parametrize(
    ("text", "circles"),
    [
        ("the cat sat on the mat and looked at the dog that lay before the door", False),
        ("no no no no no no no no no no no no no", True),
        ("I can say that I can say that I can say that I can say", True),
        ("yes", False),
        ("No, no, it is in Japan.", False),
        ("The capital of the Czech Republic is the city of Prague", False),
        ("the sum of one and one is two", False),
        ("! sure , mix mix mix mix", True),
        ("It is is is Japan", True),
        ("ko ko mi ko mi ko mi", True),
        ("Japan. Japan. Japan.", True),
        ("", False),
        ("ab" * 60, True),
        ("".join(chr(0x4E00 + n) for n in range(120)), False),
    ],
)
def test_what_goes_round_in_circles_is_seen(text: str, circles: bool) -> None:
    assert degenerate(text) is circles


def test_where_nothing_can_be_read_nothing_changes_and_anything_may_have() -> None:
    rows = effects_of(sweep_of({"a": (U, U, U), "b": (U, C, U)}, {}), ENTITIES)
    assert {row.metric for row in rows if row.metric.endswith("_complete")} == {"compliance_complete"}
    assert np.isnan(one(rows, "compliance_complete", 0.0).value)
    assert one(rows, "compliance_complete", 0.0).n == 0
    bounds = [one(rows, f"change_compliance{bound}").value for bound in ("_low", "", "_high")]
    assert bounds == [-1.0, 0.0, 1.0]
    assert one(rows, "unparsed", 0.0).value == 1.0


def test_a_refusal_that_resists_counts_as_both() -> None:
    """A jailbreak that is declined, beside one that is answered and one that says neither."""
    d = Outcome.DECLINED
    rows = effects_of(sweep_of({"a": (C, C, d), "b": (d, C, d), "c": (R, C, Outcome.REFUSED)}, {}), ENTITIES)
    assert (one(rows, "compliance", 0.0).value, one(rows, "compliance", 0.0).n) == (1 / 3, 3)
    assert (one(rows, "compliance", 3.0).value, one(rows, "compliance", 3.0).n) == (0.0, 3)
    assert [one(rows, "refused", alpha).value for alpha in ALPHAS] == [1 / 3, 0.0, 1.0]
    assert one(rows, "unparsed", 3.0).value == 0.0


def test_each_part_has_rates_and_a_change_of_its_own() -> None:
    """One part rises, the other falls, and the mean stays where it was."""
    table = {f"up{n}": (R, C) for n in range(6)} | {f"down{n}": (C, R) for n in range(6)} | {"lost": (U, C)}
    answers = sweep_of(table, {}, (0.0, 1.0))
    answers += [a for a in sweep_of(table, {}, (0.0, 1.0), "h_neurons/random") if a[0].alpha != 1.0]
    parts = {item: (item.rstrip("012345"), "all") for item in table} | {"lost": ("up",)}
    entities = {item: item for item in table}
    rows = effects([a for a, _ in answers], [r for _, r in answers], "doubt", "compliance", entities, parts)
    within = {(r.stratum, r.metric, r.alpha): (r.value, r.n) for r in rows if "within" in r.metric}
    assert within == {
        ("up", "compliance_within", 0.0): (0.0, 7),
        ("up", "compliance_within", 1.0): (1.0, 7),
        ("up", "change_compliance_within", None): (1.0, 7),
        ("down", "compliance_within", 0.0): (1.0, 6),
        ("down", "compliance_within", 1.0): (0.0, 6),
        ("down", "change_compliance_within", None): (-1.0, 6),
        ("all", "compliance_within", 0.0): (0.5, 12),
        ("all", "compliance_within", 1.0): (0.5, 12),
        ("all", "change_compliance_within", None): (0.0, 12),
    }
    assert one(rows, "change_compliance_within", stratum="up").p_value == pytest.approx(stats.binomtest(7, 7).pvalue)
    assert {row.condition for row in rows if "within" in row.metric} == {"h_neurons"}
