"""Detection with the easy explanations held fixed, and beside everything else that could tell."""

from __future__ import annotations

from dataclasses import replace

from hneuro.report import wording as say
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.table import Record, Table
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import HELD, corrected
from hneuro.result_records import ResultRow

WITHIN = "pairs of one length"
MINUS = "auroc_minus_"
SIGNALS = ("unsure", "inconsistency", "rarity")  # of the mechanism stage, which no baseline of detection is


def length_table(tidy: Tidy) -> Table:
    """A row a stratum, a column a detector; shown without the combinations of two."""
    conditions = tidy.conditions("detection", "auroc_within_length")
    alone = [c for c in conditions if "+" not in c]
    numbers: list[Record] = []
    shown = []
    for dataset in tidy.datasets("detection", "auroc_within_length"):
        found = {c: _strata(tidy, dataset, c) for c in conditions}
        for stratum in dict.fromkeys(name for rows in found.values() for name in rows):
            cells = {c: rows.get(stratum) for c, rows in found.items()}
            n = max((row.n for row in cells.values() if row is not None), default=0)
            shown.append((say.plain(dataset), stratum, str(n), *(say.with_interval(cells[c], 2) for c in alone)))
            numbers += [
                {"dataset": dataset, "answers": stratum, "condition": c, **numbers_of("auroc", row), "n": row.n}
                for c, row in cells.items()
                if row is not None
            ]
    return Table(
        name="length",
        caption="AUROC within answers of one length. Last row of a data set: over all pairs of a hallucinated and a "
        "faithful answer whose length is in the same part.",
        columns=("dataset", "answers", "condition", "auroc", "auroc_low", "auroc_high", "n"),
        numbers=tuple(numbers),
        heads=("data set", "answers", "n", *map(say.condition_name, alone)),
        shown=tuple(shown),
    )


def _strata(tidy: Tidy, dataset: str, condition: str) -> dict[str, ResultRow]:
    """All answers, each stratum, and the pairs within them."""
    found: dict[str, ResultRow] = {}
    if every := tidy.one("detection", "auroc", dataset, condition):
        found["all"] = every
    for row in tidy.rows("detection", "auroc_in_stratum", dataset, condition):
        found[row.stratum] = row
    if within := tidy.one("detection", "auroc_within_length", dataset, condition):
        found[WITHIN] = within
    return found


def held_fixed_table(tidy: Tidy) -> Table:
    """A row a neuron set, a column a thing that is held fixed."""
    numbers: list[Record] = []
    shown = []
    for dataset in tidy.datasets("detection", "auroc"):
        for name in tidy.neuron_sets:
            found = {what: tidy.one("detection", f"auroc_within_{what}", dataset, name) for what in HELD}
            every = tidy.one("detection", "auroc", dataset, name)
            if every is None or not any(found.values()):
                continue
            numbers += [
                {"dataset": dataset, "condition": name, "held": what, **numbers_of("auroc", row), "n": row.n}
                for what, row in found.items()
                if row is not None
            ]
            cells = (f"{say.with_interval(row, 2)}, n = {row.n}" if row else say.MISSING for row in found.values())
            shown.append((say.plain(dataset), say.condition_name(name), say.with_interval(every, 2), *cells))
    return Table(
        name="held_fixed",
        caption="AUROC with something held fixed: over the pairs of answers that share a tenth of the log-probability, "
        "or of the frequency in the training data, and over the answers about entities of which another answer was "
        "right. A dash: not known, or of fewer than 20 answers of either kind.",
        columns=("dataset", "condition", "held", "auroc", "auroc_low", "auroc_high", "n"),
        numbers=tuple(numbers),
        heads=("data set", "neurons", "all answers", *HELD.values()),
        shown=tuple(shown),
    )


def comparisons_table(tidy: Tidy) -> Table:
    """Ours, theirs and the paired difference, corrected together."""
    found = corrected([*_paired(tidy), *_signals(tidy)])
    numbers: list[Record] = []
    shown = []
    for row, p in found:
        baseline = row.metric.removeprefix(MINUS)
        ours, theirs = (_area(tidy, row.dataset, condition) for condition in (row.condition, baseline))
        numbers.append(
            {
                "dataset": row.dataset, "condition": row.condition, "baseline": baseline, **numbers_of("ours", ours),
                **numbers_of("theirs", theirs), **numbers_of("difference", row), "n": row.n, "p_value": row.p_value,
                "p_holm": p,
            }
        )  # fmt: skip
        shown.append(
            (
                say.plain(row.dataset), say.condition_name(row.condition), say.condition_name(baseline),
                say.with_interval(ours, 2), say.with_interval(theirs, 2), say.signed_interval(row), str(row.n),
                say.p_cell(row.p_value), say.p_cell(p),
            )
        )  # fmt: skip
    return Table(
        name="comparisons",
        caption="What else could tell: AUROC on the same answers, and the paired difference, with 95 % intervals and p "
        "from a bootstrap over entities. All are trained on fit and chosen on select, but for signals, which are not "
        f"fitted. Holm's correction is over the {sum(p is not None for _, p in found)} comparisons of this table.",
        columns=(
            "dataset", "condition", "baseline",
            *(f"{name}{end}" for name in ("ours", "theirs", "difference") for end in ("", "_low", "_high")), "n",
            "p_value", "p_holm",
        ),
        numbers=tuple(numbers),
        heads=("data set", "detector", "beside", "its AUROC", "theirs", "difference", "n", "p", "p (Holm)"),
        shown=tuple(shown),
    )  # fmt: skip


def _paired(tidy: Tidy) -> list[ResultRow]:
    return [r for r in tidy.results.rows if r.stage == "detection" and r.metric.startswith(MINUS)]


def _signals(tidy: Tidy) -> list[ResultRow]:
    """What the mechanism stage has compared with the H-Neurons, the other way round."""
    rows = [r for r in tidy.results.rows if (r.stage, r.metric) == ("mechanism", f"{MINUS}h_neurons")]
    return [
        replace(
            r, metric=f"{MINUS}{r.condition}", condition="h_neurons", value=-r.value,
            low=None if r.high is None else -r.high, high=None if r.low is None else -r.low,
        )
        for r in rows
        if r.condition in SIGNALS
    ]  # fmt: skip


def _area(tidy: Tidy, dataset: str, condition: str) -> ResultRow | None:
    return tidy.one("mechanism" if condition in SIGNALS else "detection", "auroc", dataset, condition)
