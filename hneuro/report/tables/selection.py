"""What was selected, along which path, and from how many questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from hneuro.report import wording as say
from hneuro.report.tables.table import Table, without_single
from hneuro.result_records import NeuronRow, PathPoint, Results

POINT = tuple(field.name for field in fields(PathPoint))


def neurons_table(results: Results) -> Table:
    columns = (
        "rank", "layer", "expert", "index", "weight", "frequency", "partners", "cluster", "auroc", "cett_wrong",
        "cett_right", "path_share", "drift_rank", "base_weight",
    )  # fmt: skip
    on_base = any(n.base_weight is not None for n in results.neurons)
    return Table(
        name="neurons",
        caption="The H-Neurons, heaviest weight first.",
        columns=(*columns, "enters_at"),
        numbers=tuple(
            {**{c: getattr(n, c) for c in columns}, "enters_at": _entry(results, n)} for n in results.neurons
        ),
        heads=(
            "rank", "layer", "index", "weight", "selected in", "partners", "cluster", "own AUROC", "CETT wrong",
            "CETT right", "enters at", "path share", "drift rank", *(["weight on base"] if on_base else []),
        ),
        shown=tuple(
            (
                str(n.rank), say.layer(n), str(n.index), say.number(n.weight), say.percent(n.frequency, 0),
                str(n.partners), str(n.cluster or say.MISSING), say.number(n.auroc), say.number(n.cett_wrong, 4),
                say.number(n.cett_right, 4), _strength(_entry(results, n)), say.percent(n.path_share, 0),
                say.number(n.drift_rank, 2), *([say.number(n.base_weight)] if on_base else []),
            )
            for n in results.neurons
        ),
    )  # fmt: skip


def _entry(results: Results, neuron: NeuronRow) -> float | None:
    """The smallest strength at which the neuron has a positive weight."""
    found = (p.strength for p, w in zip(results.path, neuron.path, strict=False) if w > 0)
    return next(found, None)


def _strength(value: float | None) -> str:
    return say.MISSING if value is None else f"{value:g}"


def _rows_of(path: Sequence[PathPoint]) -> str:
    return f", n = {path[0].n:,}" if path and path[0].n else ""


def path_table(results: Results) -> Table:
    heads, rows = without_single(
        (
            "strength", "nonzero", "positive", "accuracy on fit", "accuracy", "AUROC", "known, suppressed",
            "duality gap", "chosen",
        ),
        [
            (
                f"{p.strength:g}", f"{p.nonzero:,}", f"{p.positive:,}", say.percent(p.fit_accuracy),
                say.percent_interval(p.estimate("accuracy")), say.with_interval(p.estimate("auroc")),
                say.percent(p.suppressed_accuracy),
                say.MISSING if p.gap is None else f"{p.gap:.0e}", "chosen" if p.chosen else "",
            )
            for p in results.path
        ],
        "known, suppressed",
    )  # fmt: skip
    known = ""
    if "known, suppressed" in heads:
        known = " Known, suppressed: accuracy on known questions while the neurons of this strength are scaled by 0."
    return Table(
        name="path",
        caption=f"The path over the strength of the selection. Accuracy and AUROC on the select split"
        f"{_rows_of(results.path)}.{known}",
        columns=POINT,
        numbers=tuple({name: getattr(p, name) for name in POINT} for p in results.path),
        heads=heads,
        shown=tuple(rows),
    )


def funnel_table(results: Results) -> Table:
    lost = [", ".join(f"{say.plain(why)}: {count:,}" for why, count in f.lost.items()) for f in results.funnel]
    return Table(
        name="funnel",
        caption="What entered each step, what left it, and why the rest did not.",
        columns=("step", "dataset", "unit", "entered", "left", "lost", "note"),
        numbers=tuple(
            {"step": f.stage, "dataset": f.dataset, "unit": f.unit, "entered": f.entered, "left": f.left, "lost": why,
             "note": f.note}
            for f, why in zip(results.funnel, lost, strict=True)
        ),
        heads=("step", "data set", "entered", "left", "lost"),
        shown=tuple(
            (say.plain(f.stage), say.plain(f.dataset), f"{f.entered:,} {f.unit}", f"{f.left:,}", why or say.MISSING)
            for f, why in zip(results.funnel, lost, strict=True)
        ),
    )  # fmt: skip
