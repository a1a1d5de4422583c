"""Origin: backward transfer, drift, and both at the checkpoints on the way to the base model."""

from __future__ import annotations

from hneuro.origin.settings import KINDS
from hneuro.report import wording as say
from hneuro.report.tables.table import Cell, Record, Table
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import BASE, discrimination, drift_word
from hneuro.result_records import ResultRow

MEASURES = {
    "auroc": "AUROC on base",
    "auroc_minus_base_probe": "AUROC, minus that of the base model's own probe",
    "shared_neurons": "shared neurons",
}
PARTS = {"": "up and down", "_up": "up", "_down": "down", "_gate": "gate"}


def origin_table(tidy: Tidy) -> Table:
    rows = [r for r in tidy.results.rows if r.stage == "origin" and r.dataset != "parameters"]
    verdicts = {("auroc", v.dataset, v.neuron_set): v.word.value for v in discrimination(tidy, "origin")}
    return Table(
        name="origin",
        caption="Origin: the chat model's detector, and a probe of the base model's own, on the base model's answers.",
        columns=("dataset", "metric", "condition", "value", "low", "high", "n", "p_value", "note"),
        numbers=tuple(
            {
                "dataset": r.dataset, "metric": r.metric, "condition": r.condition, "value": r.value, "low": r.low,
                "high": r.high, "n": r.n, "p_value": r.p_value, "note": r.note,
            }
            for r in rows
        ),
        heads=("data set", "measure", "condition", "value", "n", "p", "verdict"),
        shown=tuple(
            (
                say.plain(r.dataset), MEASURES.get(r.metric, say.plain(r.metric)), say.condition_name(r.condition),
                _value(r), f"{r.n} sets" if "/" in r.condition else str(r.n), say.p_cell(r.p_value),
                verdicts.get((r.metric, r.dataset, r.condition), say.MISSING),
            )
            for r in rows
        ),
    )  # fmt: skip


def _value(row: ResultRow) -> str:
    if row.metric == "shared_neurons":
        return f"{row.value:.0f}"
    return say.signed_interval(row) if row.metric.startswith("auroc_minus") else say.with_interval(row)


def moments_table(tidy: Tidy) -> Table:
    """AUROC at each checkpoint, earliest first, and on the finished base model."""
    numbers: list[Record] = []
    shown = []
    for dataset in tidy.datasets("moments", "auroc"):
        for moment in (*tidy.moments, BASE):
            own, random, difference = (
                tidy.at(moment, metric, dataset, condition)
                for metric, condition in (
                    ("auroc", "h_neurons"), ("auroc", "h_neurons/random"), ("auroc_minus_base", "h_neurons")
                )
            )  # fmt: skip
            if own is None:
                continue
            numbers.append(
                {
                    "dataset": dataset, "checkpoint": moment, "auroc": own.value, "low": own.low, "high": own.high,
                    "n": own.n, "random": _of(random), "p_value": own.p_value, "minus_base": _of(difference),
                    "minus_base_low": difference.low if difference else None,
                    "minus_base_high": difference.high if difference else None,
                    "minus_base_p": difference.p_value if difference else None,
                }
            )  # fmt: skip
            shown.append(
                (
                    say.plain(dataset), say.plain(moment), say.with_interval(own), str(own.n),
                    say.number(_of(random)), say.p_cell(own.p_value), say.signed_interval(difference),
                    say.p_cell(difference.p_value if difference else None),
                )
            )  # fmt: skip
    return Table(
        name="moments",
        caption="The chat model's detector at checkpoints on the way to the base model, all on the same answers.",
        columns=(
            "dataset", "checkpoint", "auroc", "low", "high", "n", "random", "p_value", "minus_base", "minus_base_low",
            "minus_base_high", "minus_base_p",
        ),
        numbers=tuple(numbers),
        heads=("data set", "checkpoint", "AUROC", "n", "random", "p", "minus that on base", "p of it"),
        shown=tuple(shown),
    )  # fmt: skip


def drift_table(tidy: Tidy) -> Table:
    """How far the weights are from the chat model's, for each part of a neuron and each checkpoint."""
    numbers: list[Record] = []
    shown = []
    for moment in (*tidy.moments, BASE):
        for kind in KINDS:
            rank, z, far = (
                tidy.at(moment, f"{measure}{kind}", "parameters", "h_neurons")
                for measure in ("drift_rank", "drift_z", "drift_distance")
            )
            others = tidy.at(moment, f"drift_distance{kind}", "parameters", "h_neurons/layer_matched")
            if rank is None:
                continue
            record: dict[str, Cell] = {"checkpoint": moment, "part": PARTS[kind], "n": rank.n}
            for name, row in (("rank", rank), ("z", z), ("distance", far)):
                record |= {name: _of(row), f"{name}_p": row.p_value if row else None}
                record |= {f"{name}_low": row.low if row else None, f"{name}_high": row.high if row else None}
            numbers.append(record | {"distance_layer_matched": _of(others)})
            shown.append(
                (
                    say.plain(moment), PARTS[kind], say.with_interval(rank, 2), say.p_cell(rank.p_value),
                    say.signed_interval(z, 2), say.p_cell(z.p_value if z else None), say.number(_of(far), 4),
                    say.number(_of(others), 4), str(rank.n), drift_word(rank).value,
                )
            )  # fmt: skip
    fields = [f"{name}{end}" for name in ("rank", "z", "distance") for end in ("", "_low", "_high", "_p")]
    return Table(
        name="drift",
        caption="Drift of the H-Neurons' weights to the chat model. Rank: 0 = most, 1 = least; z: within their layer.",
        columns=("checkpoint", "part", "n", *fields, "distance_layer_matched"),
        numbers=tuple(numbers),
        heads=("from", "weights", "mean rank", "p", "z", "p of z", "distance", "same layers", "n", "verdict"),
        shown=tuple(shown),
    )


def _of(row: ResultRow | None) -> float | None:
    return None if row is None else row.value
