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


def test_in_domain_is_what_the_funnel_begins_with(results: Results) -> None:
    assert Tidy(replace(results, rows=tuple(reversed(results.rows)))).in_domain == "people"
    assert Tidy(replace(results, funnel=())).in_domain == "people"
    assert Tidy(replace(results, funnel=(), rows=())).in_domain is None


def test_curves_ascend_and_keep_to_one_set(results: Results) -> None:
    tidy = Tidy(replace(results, rows=tuple(reversed(results.rows))))
    for condition, seed in (("h_neurons", None), ("h_neurons/random", 3)):
        curve = tidy.curve("compliance", "doubt", condition, seed)
        assert [r.alpha for r in curve] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
        assert {(r.condition, r.seed) for r in curve} == {(condition, seed)}
