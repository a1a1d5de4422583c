from __future__ import annotations

from dataclasses import replace

from hneuro.detection.evaluate import DetectionSettings
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow, Results


def test_neuron_sets_are_what_was_scaled_or_controlled(results: Results) -> None:
    assert Tidy(results).neuron_sets == ["h_neurons"]
    new = [
        ResultRow(stage="detection", metric="auroc", dataset="people", condition=c, value=0.5)
        for c in ("another_baseline", "ranked", "ranked/random")
    ]
    assert Tidy(replace(results, rows=(*new, *results.rows))).neuron_sets == ["h_neurons", "ranked"]


def test_conditions_put_controls_behind_their_set(results: Results) -> None:
    tidy = Tidy(replace(results, rows=tuple(reversed(results.rows))))
    conditions = tidy.conditions("detection", "auroc")
    assert conditions[0] == "h_neurons"
    assert set(conditions[1:4]) == {f"h_neurons/{kind}" for kind in DetectionSettings().controls}
    assert set(conditions[4:]) == {"probe", "logprob", "entropy", "length", "logprob+h_neurons"}


def test_the_summary_of_a_control_is_not_one_of_its_draws(results: Results) -> None:
    drawn = Tidy(results).draws("causal", "change_compliance", "doubt", "h_neurons/random")
    summary = replace(drawn[0], seed=None, value=0.5)
    tidy = Tidy(replace(results, rows=(*results.rows, summary)))
    assert tidy.one("causal", "change_compliance", "doubt", "h_neurons/random") == summary
    assert tidy.draws("causal", "change_compliance", "doubt", "h_neurons/random") == drawn
    assert [d.seed for d in drawn] == list(range(5))


def test_curves_ascend_and_keep_to_one_set(results: Results) -> None:
    tidy = Tidy(replace(results, rows=tuple(reversed(results.rows))))
    assert tidy.in_domain == "people", "with which the funnel begins"
    curve = tidy.curve("compliance", "doubt", "h_neurons/random", 3)
    assert [(r.alpha, r.condition, r.seed) for r in curve] == [
        (alpha, "h_neurons/random", 3) for alpha in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    ]
