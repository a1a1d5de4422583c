"""What learned gains and their rivals avoid and cost: one point each, with its intervals in both directions."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report import wording as say
from hneuro.report.figures.style import (
    FAINT,
    H_NEURONS,
    MATCHED,
    OTHER,
    RANDOM,
    Picture,
    Spec,
    finished,
    layer,
    nominal,
    numeric,
    tooltip,
    upright,
)
from hneuro.result_records import ResultRow, Tuned

HEIGHT = 260  # pixels
LABELS = {
    "tuned": "tuned gains",
    "alpha": "one alpha",
    "tuned/random": "random neurons, tuned",
    "tuned/contribution_matched": "contribution-matched neurons, tuned",
    "sentence": "a sentence in the prompt",
    "threshold": "the detector's threshold",
    "threshold_at_coverage": "a threshold at equal coverage",
    "steering": "a steering vector",
}
COLOURS = dict(zip(LABELS, (H_NEURONS, "#e69f00", RANDOM, MATCHED, "#cc79a7", OTHER, FAINT, "#56b4e9"), strict=True))


def pareto(tuned: Tuned) -> Picture:
    """Wrong answers avoided against known facts lost, in percentage points, on the held-out facts of the run's set."""
    panel = next(row.dataset for row in tuned.rows if row.metric == "known_lost")
    points = list(_points(tuned, panel))
    scale = {"domain": list(LABELS.values()), "range": list(COLOURS.values())}
    colour = {"color": nominal("set", scale=scale, legend={"columns": 2, "labelLimit": 190})}
    x, y = numeric("lost", title="known facts lost, points"), numeric("avoided", title="wrong answers avoided, points")
    hover = tooltip(set="set", avoids="avoided [95 %]", loses="lost [95 %]", n="prompts, facts")
    marks = [
        upright(0.0),
        layer("rule", [{"y": 0.0}], {"y": numeric("y")}, color=FAINT, strokeDash=[1.5, 2.5]),
        layer("rule", points, {"x": x | {"field": "least"}, "x2": {"field": "most"}, "y": y} | colour, opacity=0.6),
        layer("rule", points, {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}} | colour, opacity=0.6),
        layer("point", points, {"x": x, "y": y} | colour | hover, filled=True, size=60),
    ]
    title = f"What tuning avoids and costs: {say.plain(panel)}"
    said = "; ".join(f"{point['set']}: {point['avoids']} avoided, {point['loses']} lost" for point in points)
    return Picture(name="pareto", alt=f"{title}. {said}.", figure=finished({"height": HEIGHT, "layer": marks}, title))


def _points(tuned: Tuned, panel: str) -> Iterator[Spec]:
    at = {(row.condition, row.seed, row.metric): row for row in tuned.rows if row.dataset == panel}
    for (condition, seed, metric), avoided in at.items():
        if metric == "wrong_avoided":
            lost = at[condition, seed, "known_lost"]
            yield {"set": LABELS[condition], "avoided": 100 * avoided.value, "lost": 100 * lost.value,
                   **dict(zip(("low", "high"), _ends(avoided), strict=True)),
                   **dict(zip(("least", "most"), _ends(lost), strict=True)),
                   "avoids": say.points_interval(avoided), "loses": say.points_interval(lost),
                   "n": f"{avoided.n:,}, {lost.n:,}"}  # fmt: skip


def _ends(row: ResultRow) -> tuple[float, float]:
    low, high = (row.value if end is None else end for end in (row.low, row.high))
    return 100 * low, 100 * high
