"""Origin: backward transfer and drift, on the base model and at the checkpoints on the way to it."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.table import Record, Table, column, estimate
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import BASE, discrimination, drift_word

MEASURES = {
    "auroc": "AUROC",
    "auroc_minus_base_probe": "AUROC, minus that of the base model's own probe",
    "auroc_minus_base": "AUROC, minus that on base",
}


def origin(compared: Compared) -> Table:
    """A row a checkpoint, measure and detector, earliest checkpoint first."""
    return compared.table(
        "origin",
        "The chat model's detector, unchanged, and a probe of the base model's own, on the base model's answers; and "
        "how far the H-Neurons' weights moved from there to chat (cosine distance; rank among all neurons, 0 = changed "
        "most, 1 = least, one-sided p that they changed less; z within their layer), by part of the weights. Of random "
        "and matched neurons n counts sets. All checkpoints read the same answers.",
        (
            column("checkpoint", "checkpoint", say.plain), column("dataset", "data set", say.plain),
            column("metric", "measure", lambda name: MEASURES.get(name, say.plain(name))),
            column("condition", "detector", say.condition_name), estimate("value", "value", say.by_metric),
            column("n", "n"), column("p_value", "p", say.p_cell), column("p_holm", "p (Holm)", say.p_cell),
            column("verdict", "verdict"), column("note", "remark"),
        ),
        ((run, record) for run in compared.runs for record in _origin(run.tidy)),
    )  # fmt: skip


def _origin(tidy: Tidy) -> Iterator[Record]:
    verdicts = {("auroc", v.dataset, v.neuron_set): v for v in discrimination(tidy, "origin")}
    rows = [(row.stratum, row) for row in tidy.results.rows if row.stage == "moments"]
    rows += [(BASE, row) for row in tidy.results.rows if row.stage == "origin"]
    for checkpoint, row in rows:
        verdict = verdicts.get((row.metric, row.dataset, row.condition)) if checkpoint == BASE else None
        drift = row.metric.startswith("drift_rank") and "/" not in row.condition
        yield {
            "checkpoint": checkpoint, "dataset": row.dataset, "metric": row.metric, "condition": row.condition,
            "value": row, "n": row.n, "p_value": row.p_value, "p_holm": verdict and verdict.p_holm, "note": row.note,
            "verdict": verdict.says if verdict else drift_word(row).value if drift else "",
        }  # fmt: skip
