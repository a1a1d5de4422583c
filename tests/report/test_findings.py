"""What is said first: verdicts with their numbers, nulls and warnings, in few lines."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hneuro.report.findings import Finding, findings, headline
from hneuro.report.tidy import Tidy
from hneuro.result_records import FunnelStep, ResultRow, Results


def said(results: Results, badge: str) -> list[Finding]:
    return [f for f in findings(Tidy(results)) if f.badge == badge]


def about(results: Results, start: str) -> Finding:
    """The first: detection stands before the base model."""
    found, *_ = [f for f in findings(Tidy(results)) if f.text.startswith(start)]
    return found


def changed(results: Results, metric: str, **fields: float) -> Results:
    rows = (replace(r, **fields) if r.metric == metric and r.condition == "h_neurons" else r for r in results.rows)
    return replace(results, rows=tuple(rows))


def test_the_terminal_has_few_lines_and_every_question(results: Results) -> None:
    text = headline(results)
    lines = text.splitlines()
    assert len(lines) <= 20
    assert lines[0] == results.title
    for part in ("Which neurons?", "Do they detect?", "Are they causal?", "In the base model?", "Can I trust it?"):
        assert any(line.startswith(part) for line in lines)
    for part in ("0.86 [0.82, 0.90], n = 300", "p = 0.015 (Holm, 3 tests)", "+23 [+17, +29] points, n = 240"):
        assert part in text


def test_a_verdict_stands_with_its_number_interval_n_and_family(results: Results) -> None:
    detects = about(results, "people: AUROC")
    assert (detects.badge, detects.tone) == ("detects", "yes")
    null = about(results, "fabricated drugs: AUROC 0.53")
    assert (null.badge, null.tone) == ("does not transfer", "no")
    assert "above 0.5 would be found four times out of five" in null.more
    unspecific = about(results, "doubt, complying answers")
    assert (unspecific.badge, unspecific.tone) == ("effect not specific to these neurons", "partly")
    assert re.search(r"5 sets of random neurons: \+\d+ to \+\d+, p = 0.333", unspecific.more)
    assert "n = 240; p = 0.009 (Holm, 27 changes)" in about(results, "forbidden, complying answers").text
    assert "points would be found four times out of five" in about(results, "misleading context, complying").more
    drift = about(results, "mean drift rank")
    assert (drift.badge, "n = 14; p = 0.680 (Holm, 2 tests)" in drift.text) == ("no difference", True)  # 0.17 one-sided
    (made_up,) = said(results, "made-up things")
    assert "98 % [96, 100] flagged, n = 240" in made_up.text
    assert "false alarms on people 36 % [" in made_up.text
    assert said(results, "AUROC not measurable")[0].text.startswith("fabricated people: hardly anything")


def test_an_effect_that_falls_is_no_success_and_a_null_is_a_warning(results: Results) -> None:
    rows = tuple(
        replace(r, value=-r.value, low=-(r.high or 0), high=-(r.low or 0))
        if r.metric.startswith("change_") and "accuracy" not in r.metric
        else r
        for r in results.rows
    )
    falls = replace(results, rows=rows)
    found = about(falls, "false premise, complying answers")
    assert (found.badge, found.tone) == ("effect, falls", "partly")
    assert [f.text for f in said(falls, "null result")] == [
        "compliance is not shown to rise more than under control sets in any of 8 changes"
    ]
    assert not said(results, "null result")
    nothing = changed(results, "auroc", value=0.5, low=0.45, high=0.55)
    assert "detect on none of 4 data sets" in said(nothing, "null result")[0].text
    assert "null result" in headline(nothing)


def test_what_cannot_be_read_can_take_an_effect_away(results: Results) -> None:
    bound = ResultRow(stage="causal", metric="change_compliance_low", dataset="forbidden", condition="h_neurons",
                      value=-0.06, low=-0.1, high=0.0, n=240)  # fmt: skip
    more = (bound, replace(bound, metric="change_compliance_high", value=0.19))
    found = about(replace(results, rows=(*results.rows, *more)), "forbidden, complying answers")
    assert (found.badge, found.tone) == ("depends on unreadable answers", "partly")
    assert "anything from -6 to +19 possible" in found.more


def test_baselines_that_are_ahead_and_cut_answers_are_warnings(results: Results) -> None:
    assert said(results, "baseline")[0].text == "log-probability is ahead of the H-Neurons on 3 of 3 data sets"
    assert said(results, "cut answers") == []
    rows = tuple(
        replace(r, value=0.31) if (r.metric, r.dataset, r.alpha) == ("truncated", "doubt", 3.0) and
        (r.condition == "h_neurons") else r
        for r in results.rows
    )  # fmt: skip
    (warning,) = said(replace(results, rows=rows), "cut answers")
    assert (warning.tone, "alpha 3" in warning.text) == ("partly", True)
    controls = tuple(
        replace(r, value=0.5) if r.metric == "truncated" and "/" in r.condition else r for r in results.rows
    )
    assert said(replace(results, rows=controls), "cut answers") == []


def test_of_a_single_control_set_the_change_is_said_and_no_p(results: Results) -> None:
    rows = tuple(row for row in results.rows if row.seed in (None, 0) or not row.condition.endswith("/random"))
    more = about(replace(results, rows=rows), "doubt, complying answers").more
    assert re.search(r"; 1 set of random neurons: \+\d+; 5 sets of", more)


def test_few_answers_and_unequal_losses_are_warnings(results: Results) -> None:
    assert not said(results, "few answers")
    assert not said(results, "unequal losses")
    step = FunnelStep(stage="spans", dataset="select", unit="responses", entered=18, left=15, note="3 of 9 are lost")
    short = replace(results, funnel=(*results.funnel, step))
    assert "chosen on 15 answers" in said(short, "few answers")[0].text
    assert said(short, "unequal losses")[0].text == "select: 3 of 9 are lost"
    enough = replace(results, funnel=(*results.funnel, replace(step, left=40, note="")))
    assert not said(enough, "few answers")


def test_permuted_labels_are_told(results: Results) -> None:
    of = ResultRow(stage="permuted", metric="auroc", dataset="people", condition="h_neurons", value=0.86, p_value=1 / 4)
    rows = [of, replace(of, metric="neurons", value=14, p_value=1.0)]
    for metric, values in (("auroc", (0.44, 0.5, 0.57)), ("neurons", (0, 30, 12))):
        draw = replace(of, metric=metric, condition="h_neurons/permuted", p_value=None)
        rows += [replace(draw, value=value, seed=n) for n, value in enumerate(values)]
    (found,) = said(replace(results, rows=(*results.rows, *rows)), "permuted labels")
    for part in ("3 permutations", "0 to 30 neurons", "here 14", "0.44 to 0.57", "p = 0.250"):
        assert part in found.text


def test_perplexity_is_told_from_alpha_1_to_both_ends(results: Results) -> None:
    rows = [
        ResultRow(stage="causal", metric="perplexity", dataset="text", condition="h_neurons", alpha=alpha, value=value,
                  low=value - 0.4, high=value + 0.4, n=100)
        for alpha, value in ((0.0, 9.0), (1.0, 8.0), (3.0, 12.0))
    ]  # fmt: skip
    (found,) = said(replace(results, rows=(*results.rows, *rows)), "perplexity")
    for part in ("8.00 [7.60, 8.40] at alpha 1", "9.00 [8.60, 9.40] at alpha 0 (+12.5 %)", "(+50.0 %)", "100 passages"):
        assert part in found.text
    (alone,) = [rows[1:2]]
    assert not said(replace(results, rows=(*results.rows, *alone)), "perplexity")


@pytest.mark.parametrize(("lost", "badge"), [(False, "since half"), (True, "at no checkpoint")])
def test_since_when_the_neurons_tell(results: Results, lost: bool, badge: str) -> None:
    """What does not last has not appeared: a checkpoint that tells, and a base model that does not."""
    rows = tuple(
        replace(r, value=0.5, low=0.4, high=0.6) if lost and (r.stage, r.metric) == ("origin", "auroc") else r
        for r in results.rows
    )
    assert said(replace(results, rows=rows), badge)
