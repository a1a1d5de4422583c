"""Detection with the easy explanations held fixed: answer length, and what needs no look inside."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.table import Record, Table
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import corrected
from hneuro.results import ResultRow

WITHIN = "pairs of one length"


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


def comparisons_table(tidy: Tidy) -> Table:
    """Paired differences of AUROC between two detectors, corrected together."""
    measured = [r for r in tidy.results.rows if r.stage == "detection" and r.metric.startswith("auroc_minus_")]
    rows = [(r, r.metric.removeprefix("auroc_minus_"), p) for r, p in corrected(measured)]
    return Table(
        name="comparisons",
        caption="Differences of AUROC on the same answers, paired, with 95 % intervals and p from a bootstrap over "
        f"entities. Holm's correction is over the {sum(p is not None for _, _, p in rows)} comparisons of this table.",
        columns=(
            "dataset", "condition", "baseline", "difference", "difference_low", "difference_high", "n", "p_value",
            "p_holm",
        ),
        numbers=tuple(
            {
                "dataset": r.dataset, "condition": r.condition, "baseline": baseline, **numbers_of("difference", r),
                "n": r.n, "p_value": r.p_value, "p_holm": p,
            }
            for r, baseline, p in rows
        ),
        heads=("data set", "detector", "minus", "AUROC difference", "n", "p", "p (Holm)"),
        shown=tuple(
            (
                say.plain(r.dataset), say.condition_name(r.condition), say.condition_name(baseline),
                say.signed_interval(r), str(r.n), say.p_cell(r.p_value), say.p_cell(p),
            )
            for r, baseline, p in rows
        ),
    )  # fmt: skip
