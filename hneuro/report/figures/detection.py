"""Detection: each data set's H-Neurons beside the random sets and the baselines."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.disk import safe_name
from hneuro.report.figures.forest import ForestRow, forest
from hneuro.report.figures.style import Picture, colour_of, figure_of
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CHANCE
from hneuro.report.wording import condition_name, missing, number, plain
from hneuro.result_records import ResultRow


def detection_pictures(tidy: Tidy) -> Iterator[Picture]:
    """One picture a data set, all on the same scale."""
    measured = [r for r in tidy.results.rows if r.stage == "detection" and r.metric == "auroc"]
    values = [v for r in measured for v in (r.value, r.low) if v is not None and not missing(v)]
    low = min([CHANCE, *values]) - 0.03
    for dataset in tidy.datasets("detection", "auroc"):
        if all(missing(r.value) for r in measured if r.dataset == dataset):
            continue
        rows = [_row(tidy, dataset, c) for c in tidy.conditions("detection", "auroc")]
        shown = [row for row in rows if row is not None]
        drawn = forest(shown, plain(dataset), "AUROC", CHANCE, n=_count(tidy, dataset))
        drawn.set_xlim(low, 1.02)
        yield Picture(
            name=f"detection_{safe(dataset)}",
            alt=f"AUROC on {plain(dataset)}: " + ", ".join(f"{r.label} {number(r.value)}" for r in shown) + ".",
            figure=figure_of(drawn),
        )


def _row(tidy: Tidy, dataset: str, condition: str) -> ForestRow | None:
    summary: ResultRow | None = tidy.one("detection", "auroc", dataset, condition)
    if summary is None:
        return None
    owner, _, kind = condition.partition("/")
    label = condition_name(condition) if owner == "h_neurons" or not kind else f"{plain(kind)}, for {owner}"
    return ForestRow(
        label=label.removesuffix(" neurons") if kind or "+" in owner else label,
        colour=colour_of(condition),
        value=summary.value,
        low=summary.low,
        high=summary.high,
    )


def _count(tidy: Tidy, dataset: str) -> int:
    """Answers behind the rows, which are the same for every condition."""
    return max(r.n for r in tidy.results.rows if (r.stage, r.metric, r.dataset) == ("detection", "auroc", dataset))


def safe(name: str) -> str:
    """A name as part of a file name and of an id."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in safe_name(name))
