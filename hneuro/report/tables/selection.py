"""What was selected, along which path, and from how many questions."""

from __future__ import annotations

from hneuro.records import Results
from hneuro.report import wording as say
from hneuro.report.tables.table import Table


def neurons_table(results: Results) -> Table:
    columns = ("rank", "layer", "index", "weight", "auroc", "cett_wrong", "cett_right", "path_share", "drift_rank")
    return Table(
        name="neurons",
        caption="The H-Neurons, heaviest weight first.",
        columns=columns,
        numbers=tuple({c: getattr(n, c) for c in columns} for n in results.neurons),
        heads=("rank", "layer", "index", "weight", "own AUROC", "CETT wrong", "CETT right", "path share", "drift rank"),
        shown=tuple(
            (
                str(n.rank), str(n.layer), str(n.index), say.number(n.weight), say.number(n.auroc),
                say.number(n.cett_wrong, 4), say.number(n.cett_right, 4), say.percent(n.path_share, 0),
                say.number(n.drift_rank, 2),
            )
            for n in results.neurons
        ),
    )  # fmt: skip


def path_table(results: Results) -> Table:
    columns = ("strength", "nonzero", "positive", "fit_accuracy", "accuracy", "auroc", "chosen")
    return Table(
        name="path",
        caption="The path over the strength of the selection. Accuracy and AUROC on the select split.",
        columns=columns,
        numbers=tuple({c: getattr(p, c) for c in columns} for p in results.path),
        heads=("strength", "nonzero", "positive", "accuracy on fit", "accuracy", "AUROC", "chosen"),
        shown=tuple(
            (
                f"{p.strength:g}", f"{p.nonzero:,}", f"{p.positive:,}", say.percent(p.fit_accuracy),
                say.percent(p.accuracy), say.number(p.auroc), "chosen" if p.chosen else "",
            )
            for p in results.path
        ),
    )  # fmt: skip


def funnel_table(results: Results) -> Table:
    lost = [", ".join(f"{say.plain(why)}: {count:,}" for why, count in f.lost.items()) for f in results.funnel]
    return Table(
        name="funnel",
        caption="What entered each step, what left it, and why the rest did not.",
        columns=("step", "dataset", "unit", "entered", "left", "lost"),
        numbers=tuple(
            {"step": f.stage, "dataset": f.dataset, "unit": f.unit, "entered": f.entered, "left": f.left, "lost": why}
            for f, why in zip(results.funnel, lost, strict=True)
        ),
        heads=("step", "data set", "entered", "left", "lost"),
        shown=tuple(
            (say.plain(f.stage), say.plain(f.dataset), f"{f.entered:,} {f.unit}", f"{f.left:,}", why or say.MISSING)
            for f, why in zip(results.funnel, lost, strict=True)
        ),
    )  # fmt: skip
