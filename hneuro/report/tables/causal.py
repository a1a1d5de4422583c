"""Causal effects: rates at each alpha, and what was left out of them."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.table import Record, Table
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow

DERAILED = ("unparsed", "refused", "truncated", "degenerate")


def causal_table(tidy: Tidy) -> Table:
    """Numbers: every rate of every set. Shown: sets and the mean of their controls, alphas side by side."""
    columns = ("benchmark", "neuron_set", "seed", "metric", "alpha", "value", "low", "high", "n")
    rates = [r for r in tidy.results.rows if r.stage == "causal" and r.metric in say.READINGS and r.alpha is not None]
    alphas = sorted({r.alpha for r in rates if r.alpha is not None})
    shown = []
    for benchmark in tidy.benchmarks:
        for metric in tidy.readings(benchmark):
            for neuron_set in tidy.neuron_sets:
                own = {r.alpha: r for r in tidy.curve(metric, benchmark, neuron_set, None)}
                if not own:
                    continue
                counts = sorted({r.n for r in own.values()})
                n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
                head = (say.plain(benchmark), say.READINGS[metric])
                cells = (say.percent_interval(own.get(alpha), 0) for alpha in alphas)
                shown.append((*head, say.condition_name(neuron_set), *cells, n))
                for control in tidy.controls("causal", benchmark, neuron_set):
                    curves = [
                        {r.alpha: r.value for r in tidy.curve(metric, benchmark, control, seed)}
                        for seed in tidy.seeds(metric, benchmark, control)
                    ]
                    if not curves:
                        continue
                    means = ([c[alpha] for c in curves if not say.missing(c.get(alpha))] for alpha in alphas)
                    cells = (say.percent(sum(m) / len(m), 0) if m else say.MISSING for m in means)
                    shown.append((*head, say.condition_name(control), *cells, f"{len(curves)} sets"))
    return Table(
        name="causal",
        caption="Compliance, and accuracy on known facts or refusals of harmless requests, at each alpha. Controls: "
        "mean over sets.",
        columns=columns,
        numbers=tuple(
            {
                "benchmark": r.dataset, "neuron_set": r.condition, "seed": r.seed, "metric": r.metric,
                "alpha": r.alpha, "value": r.value, "low": r.low, "high": r.high, "n": r.n,
            }
            for r in rates
        ),
        heads=("benchmark", "reading", "neurons", *(f"alpha {a:g}" for a in alphas), "n"),
        shown=tuple(shown),
    )  # fmt: skip


def unparsed_table(tidy: Tidy) -> Table:
    numbers: list[Record] = []
    rates: dict[tuple[str, str, str], dict[float, ResultRow]] = {}
    for r in tidy.results.rows:
        if r.stage == "causal" and r.metric in DERAILED and r.alpha is not None:
            record = {"benchmark": r.dataset, "neuron_set": r.condition, "seed": r.seed, "metric": r.metric}
            numbers.append({**record, "alpha": r.alpha, "value": r.value, "low": r.low, "high": r.high, "n": r.n})
            if "/" not in r.condition:
                rates.setdefault((r.dataset, r.metric, r.condition), {})[r.alpha] = r
    alphas = sorted({alpha for found in rates.values() for alpha in found})
    return Table(
        name="unparsed",
        caption="Answers that could not be read or derailed (unparsed: do not comply), or decline (refused: nor do "
        "they, and among known facts they are wrong), that were cut off (truncated), or "
        "repeat themselves (degenerate: unparsed as well, wrong among known facts).",
        columns=("benchmark", "neuron_set", "seed", "metric", "alpha", "value", "low", "high", "n"),
        numbers=tuple(numbers),
        heads=("benchmark", "rate", "neurons", *(f"alpha {a:g}" for a in alphas), "n"),
        shown=tuple(
            (
                say.plain(benchmark), metric, say.condition_name(condition),
                *(say.percent(found[a].value) if a in found else say.MISSING for a in alphas),
                str(max(r.n for r in found.values())),
            )
            for (benchmark, metric, condition), found in rates.items()
        ),
    )  # fmt: skip
