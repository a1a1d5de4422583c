"""Many runs at a glance: a cell a run, by what the runs differ in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

from hneuro.report import wording as say
from hneuro.report.compared import Compared, named
from hneuro.report.figures import style
from hneuro.report.figures.style import Picture, Spec, nominal
from hneuro.report.tidy import Tidy, independent_mean
from hneuro.result_records import ResultRow

CELL = (140, 58)  # pixels
Found = tuple[ResultRow, float] | None  # of the H-Neurons, and the mean of random sets, NaN where there are none


def matrix_pictures(compared: Compared, links: Mapping[Path, str]) -> Iterator[Picture]:
    """One a measure that any run has. `links`: run folder -> its page."""
    for name, title, find, show, alone in MEASURES:
        cells = [*_cells(compared, links, partial(_told, find, show, alone))]
        if any(cell["shown"] != say.MISSING for cell in cells):
            shown = "; ".join(f"{cell['row']} {cell['column']} {cell['shown']}".replace("\n", ", ") for cell in cells)
            yield Picture(name=f"matrix_{name}", alt=f"{title}: {shown}.", figure=_matrix(cells, title))


def _cells(compared: Compared, links: Mapping[Path, str], shown: Callable[[Tidy], Spec]) -> Iterator[Spec]:
    """The first thing that the runs differ in names the row, all others the column."""
    for run in compared.runs:
        row, *others = [named(run, axis) for axis in compared.axes] or [compared.label(run)]
        yield {"row": row, "column": ", ".join(others), "link": links.get(run.folder, ""), **shown(run.tidy)}


def _told(find: Callable[[Tidy], Found], show: Callable[..., str], alone: Callable[..., str], tidy: Tidy) -> Spec:
    """The value, its interval and n, and what random neurons give."""
    found = find(tidy)
    if found is None:
        return {"shown": say.MISSING, "ahead": 0.0}
    own, random = found
    number, _, interval = show(own, 2).partition(" ")
    shown = f"{number}\n{interval} n = {own.n:,}\nrandom {alone(random, 2)}"
    low = random if own.low is None else own.low
    return {"shown": shown, "ahead": 0.0 if say.missing(low - random) else low - random}


def _auroc(tidy: Tidy) -> Found:
    own = tidy.one("detection", "auroc", tidy.in_domain or "", "h_neurons")
    random = tidy.one("detection", "auroc", tidy.in_domain or "", "h_neurons/random")
    return None if own is None or say.missing(own.value) else (own, random.value if random else float("nan"))


def _slope(tidy: Tidy) -> Found:
    """At the alphas of the random sets, if there are any."""
    own, random = list[ResultRow](), list[float]()
    for name in tidy.datasets("causal", "slope_compliance"):
        like = tidy.rows("causal", "slope_against_compliance", name, "h_neurons")
        matched = next((row for row in like if row.stratum == "h_neurons/random"), None)
        row = matched or tidy.one("causal", "slope_compliance", name, "h_neurons")
        own += [row] if row and not say.missing(row.value) else []
        random += [draw.value for draw in tidy.draws("causal", "slope_compliance", name, "h_neurons/random")]
    return (independent_mean(own), fmean(random) if random else float("nan")) if own else None


def _matrix(cells: list[Spec], title: str) -> Spec:
    """The further the whole interval is ahead of random neurons, the darker."""
    most = max(cell["ahead"] for cell in cells)
    place = {"title": None, "sort": None}
    axis = {"domain": False, "ticks": False, "labelLimit": 200, "labelFontSize": 11}
    at = {"x": nominal("column", **place, axis=axis | {"orient": "top", "labelAngle": 0, "labelLimit": CELL[0]}),
          "y": nominal("row", **place, axis=axis), "href": nominal("link")}  # fmt: skip
    shade = {"domain": [0, max(most, 0.01)], "range": [0, 0.45], "clamp": True}
    depth = {"fillOpacity": style.numeric("ahead", scale=shade, legend=None)}
    layers = [
        style.layer("rect", cells, at | depth, fill=style.H_NEURONS, stroke=style.GRID),
        style.layer(
            "text", cells, at | {"text": nominal("shown")}, lineBreak="\n", lineHeight=15, color=style.INK, dy=-15
        ),
    ]
    size = {"width": {"step": CELL[0]}, "height": {"step": CELL[1]}, "autosize": "pad"}
    return style.finished({**size, "layer": layers}, title)


# File name, title, and how it is found and written: with its interval, and alone.
MEASURES: Sequence[tuple[str, str, Callable[[Tidy], Found], Callable[..., str], Callable[..., str]]] = (
    ("auroc", "Detection: AUROC on the set that the neurons were found on", _auroc, say.with_interval, say.number),
    ("slope", "Compliance: points per unit of alpha, mean over benchmarks", _slope, say.points_interval, say.points),
)
