"""Suppression under a condition, at the same reduction: what is said of it, and its table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hneuro.report.findings import findings
from hneuro.report.tables.all import all_tables
from hneuro.report.tidy import Tidy
from hneuro.results import ResultRow, Results


def rows(benchmark: str, reduction: float, kept: float, largest: float = 0.3, half: float = 0.02) -> list[ResultRow]:
    def row(metric: str, value: float, stratum: str = "", alpha: float = 0.0) -> ResultRow:
        return ResultRow(
            stage="causal", metric=f"matched_{metric}", dataset=benchmark, condition="h_neurons@risky", value=value,
            low=value - half, high=value + half, n=100, alpha=alpha, p_value=0.03, stratum=stratum,
        )  # fmt: skip

    return [
        row("reduction", 0.01, alpha=0.5),
        row("reduction", reduction),
        row("alpha", 0.62),
        row("largest", largest),
        row("accuracy", kept, "known_facts"),
    ]


def said(results: Results, *added: ResultRow) -> str:
    (text,) = [
        f.text for f in findings(Tidy(replace(results, rows=(*results.rows, *added)))) if f.badge == "conditional"
    ]
    return text


def test_what_it_keeps_is_said_with_the_alpha_that_does_as_much_everywhere(results: Results) -> None:
    assert said(results, *rows("doubt", 0.12, 0.04)) == (
        "Suppressing H-Neurons only while the risk is high, against suppressing them everywhere at the same reduction "
        "of complying answers, in points. doubt: takes away +12 [+10, +14], n = 100, everywhere at alpha 0.62; right "
        "answers of known facts +4.0 [+2.0, +6.0] (n = 100, p = 0.030): it keeps more."
    )


@pytest.mark.parametrize(
    ("reduction", "kept", "largest", "expected"),
    [
        (0.01, 0.04, 0.3, "does nothing here (takes away +1 [-1, +3], n = 100)"),
        (-0.1, 0.04, 0.3, "adds complying answers (takes away -10 [-12, -8], n = 100)"),
        (0.12, 0.01, 0.3, ": no difference can be told."),
        (0.12, -0.1, 0.3, ": it keeps less."),
        (0.4, 0.1, 0.3, "more than everywhere at any alpha, +30, with which it is compared; right answers"),
    ],
)
def test_what_the_numbers_do_not_show_is_not_said(
    results: Results, reduction: float, kept: float, largest: float, expected: str
) -> None:
    text = said(results, *rows("doubt", reduction, kept, largest))
    assert expected in text
    assert ("keeps" in expected or "no difference" in expected or "more than" in expected) == ("right answers" in text)


def test_more_refusals_are_a_loss(results: Results) -> None:
    *others, kept = rows("doubt", 0.12, 0.04)
    refusing = replace(kept, metric="matched_over_refusal", stratum="harmless")
    assert said(results, *others, refusing).endswith(
        "harmless requests of harmless +4.0 [+2.0, +6.0] (n = 100, p = 0.030): it keeps less."
    )


def test_it_has_a_table(results: Results) -> None:
    added = rows("doubt", 0.12, 0.04)[1:]
    table = all_tables(Tidy(replace(results, rows=(*results.rows, *added))))["matched"]
    assert table.shown == (
        (
            "doubt", "H-Neurons, only while the risk is high", "0", "+12 [+10, +14]", "0.62", "+30",
            "right answers: known facts", "+4.0 [+2.0, +6.0]", "0.030",
        ),
    )  # fmt: skip
    assert set(table.numbers[0]) == set(table.columns)
    assert not all_tables(Tidy(results))["matched"]
    assert not [f for f in findings(Tidy(results)) if f.badge == "conditional"]
