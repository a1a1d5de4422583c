"""Detection: H-Neurons against their controls and the baselines on data with neurons that are known to tell."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hneuro.detection.baselines import BASELINES
from hneuro.detection.detector import Detector
from hneuro.detection.evaluate import (
    LENGTH,
    NO_REFUSAL,
    AnswerSet,
    DetectionSettings,
    detect,
    detect_by_baselines,
    neuron_detector,
)
from hneuro.records import NeuronSpace, Probe, ProbeRows
from hneuro.results import ResultRow
from hneuro.statistics import share_at_least, youden_threshold

SPACE = NeuronSpace(n_layers=4, width=50)
PLANTED = (3, 60, 61, 190)
NEGATIVE = 10  # a neuron of negative weight: no H-Neuron, and no control either
SETTINGS = DetectionSettings(control_seeds=20)


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
    expected |= {(s, d.name, f"auroc_minus_{b}"): 1 for s in sets for b in BASELINES for d in SETS}
    expected |= {(s, d.name, "auroc_minus_logprob"): 1 for s in both for d in SETS}
    assert Counter((r.condition, r.dataset, r.metric) for r in found if r.seed is None) == expected
    drawn = Counter((r.condition, r.dataset, r.metric) for r in found if r.seed is not None)
    assert set(drawn.values()) == {20}
    assert len(drawn) == 2 * 3 * 2 * 3


def test_every_rate_has_its_interval_and_n(found: tuple[ResultRow, ...]) -> None:
    """Traps 27, 29 and 46: controls and intervals are part of the result."""
    for row in found:
        assert row.stage == "detection"
        assert row.low is not None
        assert row.high is not None
        assert row.low <= row.value <= row.high
        summary = "/" in row.condition and row.seed is None
        if not row.stratum and row.metric != "false_alarms":
            assert row.n == (20 if summary else {"inside": 200, "outside": 120}[row.dataset])


def test_planted_neurons_beat_random_ones(found: tuple[ResultRow, ...]) -> None:
    for name in ("inside", "outside"):
        own = one(found, condition="h_neurons", dataset=name, metric="auroc")
        for kind in SETTINGS.controls:
            control = one(found, condition=f"h_neurons/{kind}", dataset=name, metric="auroc", seed=None)
            assert own.low is not None
            assert control.high is not None
            assert own.low > control.high
            assert 0.4 < control.value < 0.6
    assert one(found, condition="h_neurons", dataset="inside", metric="auroc").p_value == pytest.approx(1 / 21)


def test_p_counts_the_random_sets_that_do_as_well(found: tuple[ResultRow, ...]) -> None:
    for name in ("h_neurons", "ranked"):
        row = one(found, condition=name, dataset="outside", metric="accuracy")
        draws = [
            r.value
            for r in of(found, condition=f"{name}/random", dataset="outside", metric="accuracy")
            if r.seed is not None
        ]
        assert row.p_value == share_at_least(row.value, draws)
        for kind in SETTINGS.controls:
            own = [
                r.value
                for r in found
                if r.condition == f"h_neurons/{kind}"
                and r.seed is not None
                and (r.dataset, r.metric) == (row.dataset, row.metric)
            ]
            (control,) = [
                r
                for r in found
                if r.condition == f"h_neurons/{kind}"
                and r.note == "mean over seeds"
                and (r.dataset, r.metric) == (row.dataset, row.metric)
            ]
            assert control.p_value == share_at_least(row.value, own)


def test_every_seed_is_another_set_of_neurons(found: tuple[ResultRow, ...]) -> None:
    """Traps 21 and 27."""
    for kind in SETTINGS.controls:
        drawn = of(found, condition=f"h_neurons/{kind}", dataset="inside", metric="auroc")
        assert len({r.value for r in drawn if r.seed is not None}) > 15  # two may agree by chance


def test_no_control_holds_a_neuron_that_the_probe_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    from hneuro.detection import evaluate

    drawn: list[tuple[int, ...]] = []
    real = evaluate.control_set

    def recorded(*args: object, **names: object) -> tuple[int, ...]:
        drawn.append(real(*args, **names))
        return drawn[-1]

    monkeypatch.setattr(evaluate, "control_set", recorded)
    ranked = (3, 100, 101)
    detect(
        probe(), {"h_neurons": PLANTED, "ranked": ranked}, LOUDNESS, FIT, SELECT, SETS[:1], DetectionSettings(), seed=0
    )
    assert len(drawn) == 120
    assert not set().union(*drawn) & {*PLANTED, NEGATIVE}
    assert not set().union(*drawn[60:]) & set(ranked)


def test_detectors_learn_on_fit_and_take_their_threshold_from_select() -> None:
    """Traps 28 and 45: nothing is fitted on what is reported, and thresholds are not set on what they are judged by."""
    detector = neuron_detector(PLANTED, FIT, SELECT)
    assert detector.threshold == youden_threshold(SELECT.rows.y, detector.scores_of(SELECT.rows))
    assert detector.threshold != youden_threshold(FIT.rows.y, detector.scores_of(FIT.rows))
    moved = neuron_detector(PLANTED, FIT, answer_set("select", 9))
    np.testing.assert_array_equal(moved.weight, detector.weight)
    assert moved.threshold != detector.threshold


def test_what_is_reported_changes_nothing_but_its_own_rows() -> None:
    settings = DetectionSettings(control_seeds=2)
    alone = detect(probe(), {"h_neurons": PLANTED}, LOUDNESS, FIT, SELECT, SETS[:1], settings, seed=0)
    both = detect(probe(), {"h_neurons": PLANTED}, LOUDNESS, FIT, SELECT, SETS, settings, seed=0)
    assert alone == tuple(of(both, dataset="inside"))


def test_rows_are_what_scikit_learn_says(found: tuple[ResultRow, ...]) -> None:
    detector, tested = neuron_detector(PLANTED, FIT, SELECT), SETS[1]
    scores = detector.scores_of(tested.rows)
    area = one(found, condition="h_neurons", dataset="outside", metric="auroc")
    right = one(found, condition="h_neurons", dataset="outside", metric="accuracy")
    assert area.value == pytest.approx(roc_auc_score(tested.rows.y, scores))
    assert right.value == pytest.approx(((scores > detector.threshold) == tested.rows.y).mean())
    threshold = youden_threshold(SELECT.rows.y, probe().scores(SELECT.rows))
    whole = one(found, condition="probe", dataset="outside", metric="accuracy")
    assert whole.value == pytest.approx(((probe().scores(tested.rows) > threshold) == tested.rows.y).mean())


def test_baselines_are_judged_like_everything_else(found: tuple[ResultRow, ...]) -> None:
    """Trap 10: a length-only classifier and the log-probability stand beside the neurons, on the same rows."""
    for column, name in enumerate(BASELINES):
        area = roc_auc_score(SETS[0].rows.y, SETS[0].baselines[:, column])
        row = one(found, condition=name, dataset="inside", metric="auroc")
        assert row.value == pytest.approx(max(area, 1 - area) if name != "length" else row.value)
    assert one(found, condition="length", dataset="inside", metric="auroc").value < 0.65


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
    """Trap 10, in the other direction: neurons that follow the length alone look good until lengths are held fixed."""

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


def test_what_the_neurons_add_to_the_log_probability(found: tuple[ResultRow, ...]) -> None:
    gain = one(found, condition="logprob+h_neurons", dataset="inside", metric="auroc_minus_logprob")
    assert gain.low is not None
    assert gain.low > 0.1
    settings = DetectionSettings(control_seeds=2)
    noise = detect(probe(), {"h_neurons": (120, 121)}, LOUDNESS, FIT, SELECT, SETS[:1], settings, seed=0)
    nothing = one(noise, condition="logprob+h_neurons", metric="auroc_minus_logprob")
    assert abs(nothing.value) < 0.1
    assert nothing.p_value is not None
    assert nothing.p_value > 0.05


def test_what_neurons_add_is_weighed_where_their_detector_was_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the fit split the detector's score is too good: its weight beside the log-probability is learnt on select."""
    from hneuro.detection import evaluate

    trained: list[int] = []
    real = evaluate.train_detector

    def recorded(x: Any, y: Any, columns: Any, x_select: Any, y_select: Any) -> Detector:
        trained.append(len(y))
        return real(x, y, columns, x_select, y_select)

    monkeypatch.setattr(evaluate, "train_detector", recorded)
    detect(probe(), {"h_neurons": PLANTED}, LOUDNESS, FIT, SELECT, SETS[:1], DetectionSettings(control_seeds=2), seed=0)
    assert trained.count(len(SELECT.rows.y)) == 1
    assert trained.count(len(FIT.rows.y)) == 3 + 3 * 2 + 1


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
        draws = [r.value for r in of(rows, condition="h_neurons/random", dataset=tested.name, metric="flag_rate")]
        assert draws[-1] == pytest.approx(np.mean(draws[:-1]))
        assert one(rows, condition="logprob", dataset=tested.name, metric="flag_rate").n == own.n
    assert {r.metric for r in rows if r.dataset == "answered"} == {"auroc", "flag_rate"}
    area = one(rows, condition="h_neurons", dataset="answered", metric="auroc")
    assert isnan(area.value)
    assert area.note == NO_REFUSAL
    assert one(rows, condition="h_neurons", dataset="refused", metric="auroc").value > 0.7


def test_one_kind_of_answers_gives_no_number_and_no_significance() -> None:
    wrong = np.flatnonzero(SETS[0].rows.y == 1)
    rows = SETS[0].rows.at(wrong)
    poor = AnswerSet(name="poor", rows=rows, baselines=SETS[0].baselines[wrong])
    made = detect(
        probe(), {"h_neurons": PLANTED}, LOUDNESS, FIT, SELECT, [poor], DetectionSettings(control_seeds=2), seed=0
    )
    row = one(made, condition="h_neurons", metric="auroc")
    assert isnan(row.value)
    assert row.p_value is not None
    assert isnan(row.p_value)


def test_twenty_seeds_of_three_kinds_take_seconds() -> None:
    sets = [answer_set(str(n), 50 + n, n=600) for n in range(2)]
    begin = time.process_time()
    detect(probe(), {"h_neurons": PLANTED}, LOUDNESS, FIT, SELECT, sets, SETTINGS, seed=0)
    assert time.process_time() - begin < 8.0  # 1.2 s on an idle core; a matrix of wins took 20


def test_one_control_set_is_refused() -> None:
    with pytest.raises(ValueError, match="control_seeds must be at least 2"):
        DetectionSettings(control_seeds=1)


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
    own = [r for r in rows if r.condition.startswith("h_neurons") and r.metric != "auroc_minus_logprob"]
    assert own == [r for r in whole if r.condition.startswith("h_neurons") and r.metric != "auroc_minus_logprob"]


def test_a_baseline_that_nobody_told_is_left_out() -> None:
    sets = [FIT, SELECT, *SETS]
    for column in (BASELINES.index("logprob"), BASELINES.index("entropy")):
        sets = [without(s, column, slice(None)) for s in sets]
    fit, select, *tested = sets
    own = detect(probe(), {"h_neurons": PLANTED}, LOUDNESS, fit, select, tested, SETTINGS, 0)
    rows = (*own, *detect_by_baselines(fit, select, tested))
    assert {r.condition for r in rows} == {
        "h_neurons",
        "h_neurons/random",
        "h_neurons/layer_matched",
        "h_neurons/contribution_matched",
        "probe",
        "length",
    }
    assert "auroc_minus_logprob" not in {r.metric for r in rows}
