"""The two tables that say most in the least space, for the terminal and the top of the page."""

from __future__ import annotations

from collections.abc import Sequence

from hneuro.report import wording as say
from hneuro.report.findings import findings
from hneuro.report.tables.table import Table, plain_text, without_single
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import discrimination, every_change
from hneuro.result_records import Results


def headline(results: Results) -> str:
    """The headline tables and findings as plain text."""
    tidy = Tidy(results)
    parts = [
        f"{table.caption}\n\n{plain_text(table.heads, table.shown)}"
        for table in (headline_detection(tidy), headline_causal(tidy))
        if table
    ]
    found = [f for f in findings(tidy) if not f.in_table]
    groups = list(dict.fromkeys(f.heading for f in found))
    for group in groups:
        parts.append("\n".join([group, *(f"  [{f.badge}] {f.text}" for f in found if f.heading == group)]))
    return "\n\n".join([results.title, *parts])


def headline_detection(tidy: Tidy) -> Table:
    rows = []
    for neuron_set in tidy.neuron_sets:
        for verdict in discrimination(tidy, "detection", neuron_set):
            logprob = tidy.one("detection", "auroc", verdict.dataset, "logprob")
            rows.append(
                (
                    say.plain(verdict.dataset), say.condition_name(neuron_set), say.with_interval(verdict.found, 2),
                    say.number(verdict.random.value if verdict.random else None, 2),
                    say.number(logprob.value if logprob else None, 2), str(verdict.found.n),
                    say.p_cell(verdict.p_holm), verdict.says,
                )
            )  # fmt: skip
    heads = ("data set", "neurons", "AUROC", "random", "log-prob.", "n", "p (Holm)", "verdict")
    return _table("headline_detection", "Detection: AUROC on held-out questions", heads, rows)


def headline_causal(tidy: Tidy) -> Table:
    """Rates at the lowest alpha, untouched and at the highest; change in points with its interval."""
    rates = {r.alpha for r in tidy.results.rows if r.stage == "causal" and r.alpha is not None}
    alphas = sorted({min(rates), max(rates), *({1.0} & rates)}) if rates else []
    rows = []
    for change in every_change(tidy):
        curve = {r.alpha: r.value for r in tidy.curve(change.metric, change.benchmark, change.neuron_set, None)}
        rows.append(
            (
                say.plain(change.benchmark), say.READINGS[change.metric], say.condition_name(change.neuron_set),
                *(say.percent(curve.get(alpha), 0) for alpha in alphas), say.points_interval(change.found, 0),
                str(change.found.n), say.p_cell(change.p_holm), control_range(change.controls), change.says,
            )
        )  # fmt: skip
    heads = (
        "benchmark", "reading", "neurons", *(f"alpha {a:g}" for a in alphas), "change", "n", "p (Holm)", "controls",
        "verdict",
    )  # fmt: skip
    return _table("headline_causal", "Causal effect: rates, and paired changes in percentage points", heads, rows)


def control_range(controls: Sequence[float], digits: int = 0) -> str:
    """ "-2 to +4" percentage points."""
    return f"{say.points(min(controls), digits)} to {say.points(max(controls), digits)}" if controls else say.MISSING


def _table(name: str, caption: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    """Its cells are text already, in CSV too."""
    heads, rows = without_single(heads, rows, "neurons")
    records = tuple(dict(zip(heads, row, strict=True)) for row in rows)
    return Table(name=name, caption=caption, columns=heads, numbers=records, heads=heads, shown=tuple(rows))
