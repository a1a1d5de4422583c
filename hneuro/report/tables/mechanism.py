"""Mechanism: every signal on the same rows, what is left of the H-Neurons, and what data sets share."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.table import Record, Table
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import corrected
from hneuro.result_records import ResultRow

STAGE = "mechanism"
ADDED = ("auroc_minus_covariates", "covariates+h_neurons")
HELD = "held fixed: "
SPARSITY = {"active_share": "carry 90 %", "hoyer": "Hoyer"}
MINUS = "_minus_faithful"


def adjusted(tidy: Tidy) -> dict[tuple[str, str, str], float | None]:
    """p after Holm's correction over all paired differences of the section, by (metric, data set, condition)."""
    tested = [r for r in tidy.results.rows if r.stage == STAGE and r.metric.startswith("auroc_minus_")]
    return {(r.metric, r.dataset, r.condition): p for r, p in corrected(tested)}


def signals_table(tidy: Tidy) -> Table:
    holm = adjusted(tidy)
    numbers: list[Record] = []
    shown = []
    for dataset in tidy.datasets(STAGE, "auroc"):
        for condition in tidy.conditions(STAGE, "auroc"):
            area = tidy.one(STAGE, "auroc", dataset, condition)
            if area is None or condition.startswith("covariates"):
                continue
            minus = tidy.one(STAGE, "auroc_minus_h_neurons", dataset, condition)
            p = holm.get(("auroc_minus_h_neurons", dataset, condition))
            numbers.append(
                {
                    "dataset": dataset, "signal": condition, **numbers_of("auroc", area), "n": area.n,
                    **numbers_of("difference", minus), "p_value": minus.p_value if minus else None, "p_holm": p,
                    "note": area.note,
                }
            )  # fmt: skip
            shown.append(
                (
                    say.plain(dataset), say.condition_name(condition), say.with_interval(area), str(area.n),
                    say.signed_interval(minus), say.p_cell(p), area.note,
                )
            )  # fmt: skip
    return Table(
        name="mechanism",
        caption="What tells a hallucination, on the same answers. Signals are turned so that more of it should mean a "
        "hallucination; nothing is fitted, and below 0.5 a signal points the other way. Minus the H-Neurons: paired. "
        f"Holm's correction is over the {sum(p is not None for p in holm.values())} comparisons of this section.",
        columns=(
            "dataset", "signal", "auroc", "auroc_low", "auroc_high", "n", "difference", "difference_low",
            "difference_high", "p_value", "p_holm", "note",
        ),
        numbers=tuple(numbers),
        heads=("data set", "signal", "AUROC", "n", "minus the H-Neurons", "p (Holm)", "remark"),
        shown=tuple(shown),
    )  # fmt: skip


def remaining_table(tidy: Tidy) -> Table:
    holm = adjusted(tidy)
    metric, condition = ADDED
    numbers: list[Record] = []
    shown = []
    for dataset in tidy.datasets(STAGE, metric):
        gain = tidy.one(STAGE, metric, dataset, condition)
        without = tidy.one(STAGE, "auroc", dataset, "covariates")
        together = tidy.one(STAGE, "auroc", dataset, condition)
        within = tidy.one(STAGE, "auroc_within_covariates", dataset, "h_neurons")
        if gain is None:
            continue
        p = holm.get((metric, dataset, condition))
        numbers.append(
            {
                "dataset": dataset, **numbers_of("without", without), **numbers_of("together", together),
                **numbers_of("difference", gain), "n": gain.n, "p_value": gain.p_value, "p_holm": p,
                **numbers_of("within", within), "note": gain.note,
            }
        )  # fmt: skip
        shown.append(
            (
                say.plain(dataset), say.number(without.value if without else None), say.signed_interval(gain),
                str(gain.n), say.p_cell(p), say.with_interval(within), held_fixed(gain) or gain.note,
            )
        )  # fmt: skip
    estimates = ("without", "together", "difference", "within")
    return Table(
        name="mechanism_remaining",
        caption="What the H-Neurons add to frequency and confidence: the difference of AUROC between two cross-fitted "
        "logistic models, with and without their score, and their AUROC among answers of one tenth of that risk.",
        columns=(
            "dataset", *(f"{name}{end}" for name in estimates for end in ("", "_low", "_high")), "n", "p_value",
            "p_holm", "note",
        ),
        numbers=tuple(numbers),
        heads=("data set", "AUROC without", "H-Neurons added", "n", "p (Holm)", "within one risk", "held fixed"),
        shown=tuple(shown),
    )  # fmt: skip


def held_fixed(row: ResultRow) -> str:
    """ "rarity in the training data, log-prob., ..." of what a comparison held fixed; "" where there is none."""
    if not row.note.startswith(HELD):
        return ""
    return ", ".join(say.condition_name(name) for name in row.note.removeprefix(HELD).split(", "))


def transfer_table(tidy: Tidy) -> Table:
    """A row a set that neurons were found on, a column a set that they were tested on."""
    tested = tidy.datasets(STAGE, "transfer_auroc")
    numbers: list[Record] = []
    shown = []
    for source in tidy.datasets(STAGE, "neurons"):
        count = tidy.one(STAGE, "neurons", source, "probe")
        cells = {dataset: transfer_cell(tidy, source, dataset) for dataset in tested}
        numbers += [
            {"found_on": source, "tested_on": name, **numbers_of("auroc", row), "n": row.n, "note": row.note}
            for name, row in cells.items()
            if row is not None
        ]
        if count is not None:
            shown.append(
                (
                    say.plain(source), say.number(count.value, 0), *(say.with_interval(r, 2) for r in cells.values()),
                    count.note,
                )
            )  # fmt: skip
    return Table(
        name="mechanism_transfer",
        caption="Found on one data set (rows), tested on another (columns): AUROC of a probe that was trained on half "
        "of the groups, on the answers about the other half, with 95 % intervals.",
        columns=("found_on", "tested_on", "auroc", "auroc_low", "auroc_high", "n", "note"),
        numbers=tuple(numbers),
        heads=("found on", "neurons", *map(say.plain, tested), "remark"),
        shown=tuple(shown),
    )


def transfer_cell(tidy: Tidy, source: str, dataset: str) -> ResultRow | None:
    rows = tidy.rows(STAGE, "transfer_auroc", dataset, "probe")
    return next((row for row in rows if row.stratum == source), None)


def set_overlaps_table(tidy: Tidy) -> Table:
    found = corrected([r for r in tidy.results.rows if (r.stage, r.metric) == (STAGE, "jaccard")])
    return Table(
        name="mechanism_overlaps",
        caption="Neurons that two data sets have in common. p: as many neurons drawn at random share as many "
        "(hypergeometric, exact). Holm's correction is over the rows of this table.",
        columns=("first", "second", "sizes", "shared", "jaccard", "p_value", "p_holm"),
        numbers=tuple(
            {
                "first": r.dataset, "second": r.stratum, "sizes": r.note, "shared": r.n, "jaccard": r.value,
                "p_value": r.p_value, "p_holm": p,
            }
            for r, p in found
        ),
        heads=("found on", "and on", "sets of", "shared", "Jaccard", "p", "p (Holm)"),
        shown=tuple(
            (
                say.condition_name(r.dataset), say.condition_name(r.stratum), r.note, str(r.n), say.number(r.value, 2),
                say.p_cell(r.p_value), say.p_cell(p),
            )
            for r, p in found
        ),
    )  # fmt: skip


def sparsity_differences(tidy: Tidy) -> dict[tuple[str, str, str], tuple[ResultRow, float | None]]:
    """Hallucinated minus faithful, with p after Holm's correction over all: by (measure, data set, layer)."""
    rows = [r for r in tidy.results.rows if r.stage == STAGE and r.metric in (f"{m}{MINUS}" for m in SPARSITY)]
    return {(r.metric.removesuffix(MINUS), r.dataset, r.stratum): (r, p) for r, p in corrected(rows)}


def sparsity_table(tidy: Tidy) -> Table:
    """A row a layer and measure."""
    differences = sparsity_differences(tidy)
    numbers: list[Record] = []
    shown = []
    for measure, name in SPARSITY.items():
        show, minus = (
            (say.percent_interval, say.points_interval)
            if measure == "active_share"
            else (say.with_interval, say.signed_interval)
        )
        for dataset in tidy.datasets(STAGE, measure):
            sides = [
                {row.stratum: row for row in tidy.rows(STAGE, measure, dataset, side)}
                for side in ("faithful", "hallucinated")
            ]
            for layer in dict.fromkeys(place for side in sides for place in side):
                faithful, hallucinated = (side.get(layer) for side in sides)
                difference, p = differences.get((measure, dataset, layer), (None, None))
                numbers.append(
                    {
                        "dataset": dataset, "measure": measure, "layer": layer, **numbers_of("faithful", faithful),
                        **numbers_of("hallucinated", hallucinated), **numbers_of("difference", difference),
                        "p_value": difference.p_value if difference else None, "p_holm": p,
                    }
                )  # fmt: skip
                cells = (show(faithful), show(hallucinated), minus(difference), say.p_cell(p))
                shown.append((say.plain(dataset), name, layer, *cells))
    estimates = ("faithful", "hallucinated", "difference")
    return Table(
        name="mechanism_sparsity",
        caption="Sparsity at the answer, mean over answers with 95 % intervals: the share of the neurons that carries "
        "90 % of the contribution (small: few do it all), and Hoyer's index (0: all alike, 1: one does it all). "
        "Difference: hallucinated minus faithful, in points for the share, bootstrap over entities; Holm's correction "
        f"is over all {len(differences)} differences.",
        columns=(
            "dataset", "measure", "layer", *(f"{name}{end}" for name in estimates for end in ("", "_low", "_high")),
            "p_value", "p_holm",
        ),
        numbers=tuple(numbers),
        heads=("data set", "measure", "layer", "faithful answers", "hallucinated answers", "difference", "p (Holm)"),
        shown=tuple(shown),
    )  # fmt: skip
