"""Detection: H-Neurons against their controls and the baselines on data with neurons that are known to tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hneuro.detection.evaluate import (
    LENGTH,
    DetectionSettings,
    detect,
    detect_by_baselines,
    neuron_detector,
)
from hneuro.detection.nulls import SIZES, control_sets
from hneuro.detection.scored import BASELINES, NO_REFUSAL, AnswerSet
from hneuro.neurons import NeuronSpace, Probe, ProbeRows
from hneuro.result_records import ResultRow
from hneuro.significance import share_at_least
from hneuro.statistics import auroc_in_closed_form, youden_threshold

SPACE = NeuronSpace(n_layers=4, width=50)
PLANTED = (3, 60, 61, 190)
NEGATIVE = 10  # a neuron of negative weight: no H-Neuron, and no control either
SETTINGS = DetectionSettings(control_seeds=20)
SIZED = [str(size) for size in SIZES if 2 * size <= SPACE.size - 7]


def answer_set(name: str, seed: int, n: int = 200, effect: float = 0.7) -> AnswerSet:
    draw = np.random.default_rng(seed)
    y = np.array([1, 0] * (n // 2), dtype=np.int8)
    x = 0.02 * draw.lognormal(0, 0.6, (n, SPACE.size))
    x[np.ix_(y == 1, PLANTED)] *= 1 + effect
    x[y == 0, NEGATIVE] *= 1 + effect
    baselines = draw.normal(size=(n, 3)) + np.outer(y, [-0.5, 0.3, 0.0])
    baselines[:, LENGTH] = draw.integers(1, 4, n)
    rows = ProbeRows.of(
        x=x.astype(np.float32), y=y, groups=np.array([f"{name}{k // 2}" for k in range(n)]), space=SPACE
    )
    return AnswerSet(name=name, rows=rows, baselines=baselines)


def probe() -> Probe:
    weight = np.zeros(SPACE.size)
    weight[list(PLANTED)], weight[NEGATIVE] = 20.0, -20.0
    return Probe(weight=weight, bias=0.0, strength=1.0, space=SPACE)


FIT, SELECT = answer_set("fit", 0, 300), answer_set("select", 1)
LOUDNESS = FIT.rows.columns(range(SPACE.size)).mean(axis=0)
SETS = (answer_set("inside", 2), answer_set("outside", 3, n=120, effect=0.4))


@pytest.fixture(scope="module")
def found() -> tuple[ResultRow, ...]:
    sets = {"h_neurons": PLANTED, "ranked": (3, 60, 120, 121, 122)}
    own = detect(probe(), sets, LOUDNESS, FIT, SELECT, SETS, SETTINGS, seed=0)
    return (*own, *detect_by_baselines(FIT, SELECT, SETS))


def of(rows: tuple[ResultRow, ...], **wanted: object) -> list[ResultRow]:
    return [r for r in rows if all(getattr(r, key) == value for key, value in wanted.items())]


def one(rows: tuple[ResultRow, ...], **wanted: object) -> ResultRow:
    (row,) = of(rows, **wanted)
    return row


def test_every_condition_is_measured_on_every_set_in_both_metrics(found: tuple[ResultRow, ...]) -> None:
    sets = ("h_neurons", "ranked")
    both = [f"logprob+{s}" for s in sets]
    detectors = [*sets, *both, "probe", *BASELINES]
    controls = [f"{s}/{kind}" for s in sets for kind in SETTINGS.controls]
    simple = ("auroc", "accuracy", "false_alarms")
    expected = {(c, d.name, m): 1 for c in (*detectors, *controls) for d in SETS for m in simple}
    expected |= {(c, d.name, "auroc_within_length"): 1 for c in detectors for d in SETS}
    expected |= {(c, d.name, "auroc_in_stratum"): 3 for c in detectors for d in SETS}
    expected |= {(s, d.name, "auroc_within_logprob"): 1 for s in sets for d in SETS}
    expected |= {(s, d.name, "auroc_within_known"): 1 for s in sets for d in SETS}
    expected |= {(s, d.name, f"auroc_minus_{b}"): 1 for s in sets for b in BASELINES for d in SETS}
    expected |= {(s, d.name, "auroc_minus_logprob"): 1 for s in both for d in SETS}
    expected |= {(s, d.name, "auroc_by_size"): 1 for s in sets for d in SETS}
    expected |= {("random", d.name, "auroc_by_size"): len(SIZED) for d in SETS}
    assert Counter((r.condition, r.dataset, r.metric) for r in found) == expected
    assert not [r for r in found if r.seed is not None], "hundreds of sets leave a summary, not a row each"


def test_planted_neurons_beat_random_ones(found: tuple[ResultRow, ...]) -> None:
    for name in ("inside", "outside"):
        own = one(found, condition="h_neurons", dataset=name, metric="auroc")
        for kind in SETTINGS.controls:
            control = one(found, condition=f"h_neurons/{kind}", dataset=name, metric="auroc")
            assert own.low is not None
            assert own.low > control.value
            assert 0.4 < control.value < 0.6
    assert one(found, condition="h_neurons", dataset="inside", metric="auroc").p_value == pytest.approx(1 / 21)


def test_controls_are_the_middle_and_p_the_share_of_sets_with_detectors_of_their_own(
    found: tuple[ResultRow, ...],
) -> None:
    """What is computed in blocks of columns is what each detector says alone."""
    for kind in SETTINGS.controls:
        draws = control_sets(kind, SPACE, PLANTED, {*PLANTED, NEGATIVE}, LOUDNESS, 20, 0)
        assert len(set(draws)) == len(draws) == 20
        detectors = [neuron_detector(chosen, FIT, SELECT) for chosen in draws]
        for tested in SETS:
            y, scores = tested.rows.y, [d.scores_of(tested.rows) for d in detectors]
            values = {
                "auroc": [roc_auc_score(y, s) for s in scores],
                "accuracy": [((s > d.threshold) == y).mean() for s, d in zip(scores, detectors, strict=True)],
            }
            for metric, null in values.items():
                control = one(found, condition=f"h_neurons/{kind}", dataset=tested.name, metric=metric)
                assert control.value == pytest.approx(np.mean(null))
                assert (control.low, control.high) == pytest.approx(tuple(np.quantile(null, [0.025, 0.975])))
                own = one(found, condition="h_neurons", dataset=tested.name, metric=metric)
                assert control.p_value == share_at_least(own.value, null)
                assert kind != "random" or own.p_value == control.p_value


def test_one_neuron_is_ranked_among_all_others_of_its_layer() -> None:
    """Exact, and no p below what the draws allow: there are only so many neurons of one contribution."""
    sets = [replace(SETS[0], made_up=True)]
    settings = DetectionSettings(control_seeds=300)
    rows = detect(probe(), {"h_neurons": PLANTED[1:2]}, LOUDNESS, FIT, SELECT, sets, settings, seed=0)
    layer = [n for n in range(50, 100) if n not in PLANTED]
    x, y = SETS[0].rows.columns(layer), SETS[0].rows.y
    fitted = FIT.rows.columns(layer)
    sign = np.sign(fitted[FIT.rows.y == 1].mean(0) - fitted[FIT.rows.y == 0].mean(0))
    null = [auroc_in_closed_form(y, column, y).value for column in (sign * x).T]
    found = one(rows, condition="h_neurons/layer_matched", metric="auroc")
    assert found.n == len(layer) == 48
    assert found.value == pytest.approx(np.mean(null))
    assert found.p_value == pytest.approx(1 / 49)
    nearest = one(rows, condition="h_neurons/contribution_matched", metric="auroc")
    assert nearest.n == 20
    assert nearest.p_value == pytest.approx(1 / 21)
    assert one(rows, condition="h_neurons/random", metric="auroc").n < 196
    flags = one(rows, condition="h_neurons/layer_matched", metric="flag_rate")
    alone = [neuron_detector((n,), FIT, SELECT) for n in layer]
    assert flags.value == pytest.approx(
        np.mean([(d.scores_of(SETS[0].rows)[y == 1] > d.threshold).mean() for d in alone])
    )


def test_detectors_learn_on_fit_and_take_their_threshold_from_select() -> None:
    """Nothing is fitted on what is reported, and thresholds are not set on what they are judged by."""
    detector = neuron_detector(PLANTED, FIT, SELECT)
    assert detector.threshold == youden_threshold(SELECT.rows.y, detector.scores_of(SELECT.rows))
    assert detector.threshold != youden_threshold(FIT.rows.y, detector.scores_of(FIT.rows))
    moved = neuron_detector(PLANTED, FIT, answer_set("select", 9))
    np.testing.assert_array_equal(moved.weight, detector.weight)
    assert moved.threshold != detector.threshold


def test_strata_are_all_rows_once_and_named_by_their_length(found: tuple[ResultRow, ...]) -> None:
    detector, tested = neuron_detector(PLANTED, FIT, SELECT), SETS[1]
    strata = of(found, condition="h_neurons", dataset="outside", metric="auroc_in_stratum")
    assert [r.stratum for r in strata] == ["1 token", "2 tokens", "3 tokens"]
    for length, row in enumerate(strata, 1):
        here = tested.baselines[:, LENGTH] == length
        assert row.n == here.sum()
        assert row.value == pytest.approx(roc_auc_score(tested.rows.y[here], detector.scores_of(tested.rows)[here]))
    assert sum(r.n for r in strata) == 120


def test_a_detector_that_lives_on_length_is_worth_nothing_within_lengths() -> None:
    """Neurons that follow the length alone look good until lengths are held fixed."""

    def by_length(given: AnswerSet, seed: int) -> AnswerSet:
        draw = np.random.default_rng(seed)
        length = draw.integers(1, 4, len(given.rows.y)) + 2 * given.rows.y
        x = given.rows.columns(range(SPACE.size)).copy()
        x[:, PLANTED] = 0.02 * (length[:, None] + 0.1 * draw.normal(size=(len(length), len(PLANTED))))
        baselines = np.column_stack([given.baselines[:, :LENGTH], length])
        return replace(given, rows=replace(given.rows, table=x), baselines=baselines)

    fit, select, tested = (by_length(given, n) for n, given in enumerate((FIT, SELECT, SETS[0])))
    made = detect(
        probe(), {"h_neurons": PLANTED}, LOUDNESS, fit, select, [tested], DetectionSettings(control_seeds=2), seed=0
    )
    assert one(made, condition="h_neurons", metric="auroc").value > 0.85
    within = one(made, condition="h_neurons", metric="auroc_within_length")
    assert within.low is not None
    assert within.high is not None
    assert within.low < 0.5 < within.high
    assert one(made, condition="h_neurons", metric="auroc_minus_length").p_value > 0.05  # type: ignore[operator]


def test_neurons_are_compared_with_each_baseline_on_the_same_rows(found: tuple[ResultRow, ...]) -> None:
    for baseline in BASELINES:
        own = one(found, condition="h_neurons", dataset="inside", metric="auroc")
        other = one(found, condition=baseline, dataset="inside", metric="auroc")
        row = one(found, condition="h_neurons", dataset="inside", metric=f"auroc_minus_{baseline}")
        assert row.value == pytest.approx(own.value - other.value)
        assert row.low is not None
        assert row.p_value is not None
        assert (row.low > 0) == (row.p_value < 0.05)
    assert one(found, condition="h_neurons", dataset="inside", metric="auroc_minus_length").p_value < 0.01  # type: ignore[operator]
    assert one(found, condition="length", dataset="inside", metric="auroc").value < 0.65


def test_answers_about_made_up_things_are_counted_where_they_lie_above_the_threshold() -> None:
    """Nobody else's faithful answers stand in for the refusals that there were not."""
    settings = DetectionSettings(control_seeds=3)
    wrong = np.flatnonzero(SETS[0].rows.y == 1)
    answered = AnswerSet(name="answered", rows=SETS[0].rows.at(wrong), baselines=SETS[0].baselines[wrong], made_up=True)
    refused = replace(SETS[1], name="refused", made_up=True)
    sets = (answered, refused)
    rows = detect(probe(), {"h_neurons": PLANTED}, LOUDNESS, FIT, SELECT, sets, settings, seed=0)
    rows += detect_by_baselines(FIT, SELECT, sets)
    detector = neuron_detector(PLANTED, FIT, SELECT)
    for tested in sets:
        above = detector.scores_of(tested.rows) > detector.threshold
        own = one(rows, condition="h_neurons", dataset=tested.name, metric="flag_rate")
        assert (own.value, own.n) == (above[tested.rows.y == 1].mean(), (tested.rows.y == 1).sum())
        assert own.low is not None
        assert own.high is not None
        assert own.low < own.value < own.high
        random = one(rows, condition="h_neurons/random", dataset=tested.name, metric="flag_rate")
        drawn = control_sets("random", SPACE, PLANTED, {*PLANTED, NEGATIVE}, LOUDNESS, 3, 0)
        others = [neuron_detector(chosen, FIT, SELECT) for chosen in drawn]
        flagged = [(d.scores_of(tested.rows) > d.threshold)[tested.rows.y == 1].mean() for d in others]
        assert random.value == pytest.approx(np.mean(flagged))
        assert one(rows, condition="logprob", dataset=tested.name, metric="flag_rate").n == own.n
    assert {r.metric for r in rows if r.dataset == "answered"} == {"auroc", "flag_rate", "auroc_by_size"}
    area = one(rows, condition="h_neurons", dataset="answered", metric="auroc")
    assert isnan(area.value)
    assert area.note == NO_REFUSAL
    assert one(rows, condition="h_neurons", dataset="refused", metric="auroc").value > 0.7


@pytest.mark.parametrize("name", ["logprob", "frequency", "known"])
def test_what_neurons_say_is_held_against_what_they_may_only_repeat(name: str) -> None:
    """Neurons that follow the log-probability, the frequency or the entity are at chance among its equals."""
    draw = np.random.default_rng(5)
    tested = SETS[0]
    n = len(tested.rows.y)
    groups, baselines, counts = tested.rows.groups, tested.baselines.copy(), None
    cause = draw.normal(size=n) + 1.5 * tested.rows.y
    if name == "known":  # half of the wrong answers are about entities of which nothing is known
        groups = np.array([f"lone {k}" if k % 4 == 0 else group for k, group in enumerate(groups)])
        cause = np.where(np.arange(n) % 4 == 0, 1.0, 0.0) + 0.01 * draw.normal(size=n)
    elif name == "logprob":
        baselines[:, 0] = -cause
    else:
        counts = np.exp(-cause)
    assert isinstance(tested.rows, ProbeRows)
    rows = replace(tested.rows, table=np.tile(cause[:, None], SPACE.size).astype(np.float32), groups=groups)
    tested = replace(tested, rows=rows, baselines=baselines, frequency=counts)
    settings = DetectionSettings(control_seeds=2)
    made = detect(probe(), {"h_neurons": PLANTED}, LOUDNESS, FIT, SELECT, [tested], settings, seed=0)
    assert one(made, condition="h_neurons", metric="auroc").value > 0.7
    assert one(made, condition="h_neurons", metric=f"auroc_within_{name}").value < 0.65
    assert bool(of(made, metric="auroc_within_frequency")) is (name == "frequency")


def without(given: AnswerSet, column: int, rows: slice) -> AnswerSet:
    baselines = given.baselines.copy()
    baselines[rows, column] = np.nan
    return replace(given, baselines=baselines)


def test_a_baseline_is_measured_on_the_rows_of_which_it_is_known() -> None:
    logprob = BASELINES.index("logprob")
    every = (slice(0, 150), slice(0, 20), slice(50, None))
    fit, select, tested = (without(s, logprob, rows) for s, rows in zip((FIT, SELECT, SETS[0]), every, strict=True))
    own_rows = detect(probe(), {"h_neurons": PLANTED}, LOUDNESS, fit, select, [tested, SETS[1]], SETTINGS, 0)
    rows = (*own_rows, *detect_by_baselines(fit, select, [tested, SETS[1]]))
    assert not any(isnan(row.value) for row in rows if row.metric in ("auroc", "accuracy"))
    n = {(r.dataset, r.metric, r.condition): r.n for r in rows if not r.stratum}
    assert n[SETS[0].name, "auroc", "h_neurons"] == n[SETS[0].name, "auroc", "entropy"] == len(SETS[0].rows.y)
    for metric, condition in (
        ("auroc", "logprob"), ("accuracy", "logprob"), ("auroc", "logprob+h_neurons"),
        ("auroc_within_length", "logprob"), ("auroc_minus_logprob", "h_neurons"),
        ("auroc_minus_logprob", "logprob+h_neurons"),
    ):  # fmt: skip
        assert n[SETS[0].name, metric, condition] == 50
        assert n[SETS[1].name, metric, condition] == len(SETS[1].rows.y)
    whole = detect(probe(), {"h_neurons": PLANTED}, LOUDNESS, FIT, SELECT, [SETS[0], SETS[1]], SETTINGS, 0)
    own, same = (
        [r for r in some if r.condition.startswith("h_neurons") and not r.metric.endswith("logprob")]
        for some in (rows, whole)
    )
    assert own == same


@pytest.mark.parametrize("count", [1, 10**12])
def test_control_sets_that_say_nothing_or_never_end_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="between 2 and 100,000"):
        DetectionSettings(control_seeds=count)
