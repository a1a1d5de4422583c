"""Values over an axis: lines with their intervals and, thin, those of control sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hneuro.report.figures.style import Look, Spec, layer, nominal, numeric, shown, tooltip
from hneuro.report.wording import HasInterval, missing
from hneuro.result_records import Estimate, ResultRow

SMALLEST_SPAN = 0.3  # of the y axis, so that noise does not look like an effect


@dataclass(frozen=True, kw_only=True)
class Line:
    """Lines of one label look alike and have one entry in the legend."""

    label: str
    look: Look
    points: Sequence[tuple[float, Estimate | ResultRow]]  # x and the value there
    thin: bool = False  # a control, or a part of a mean


def over(rows: Sequence[ResultRow]) -> list[tuple[float, ResultRow]]:
    """The points of rows whose value is a number, over alpha."""
    return [(row.alpha, row) for row in rows if row.alpha is not None and not missing(row.value)]


def limits(values: Sequence[float], smallest: float = SMALLEST_SPAN, share: bool = True) -> Spec:
    """Wide enough that noise does not look like an effect; a share stays between 0 and 1, with room for its line."""
    low, high = min(values), max(values)
    span = max(smallest, (high - low) * 1.1)
    bottom = (low + high - span) / 2
    if share:
        bottom = min(max(bottom, -0.04 * span), 1.02 - span)
    return {"domain": [bottom, bottom + span], "nice": False}


def curves(
    lines: Sequence[Line], x: Spec, y: Spec, show: Callable[[HasInterval], str], columns: int = 2, pick: bool = True
) -> Spec:
    """Hovering shows values; `columns`: of the legend, 0: none.

    `pick`: a click in the legend leaves only the lines of a label, another click adds others.
    """
    looks = {line.label: line.look for line in sorted(lines, key=lambda line: line.thin)}
    colours, dashes = ([look[place] for look in looks.values()] for place in (0, 1))
    key = {"legend": {"columns": columns, "labelLimit": 380 // columns} if columns else None}
    shared = {"x": numeric("x", **x), "y": numeric("value", **y), "detail": nominal("line"),
              "color": nominal("set", scale={"domain": [*looks], "range": colours}, **key)}  # fmt: skip
    dash = {"strokeDash": nominal("set", scale={"domain": [*looks], "range": dashes}, **key)}
    picks = bool(columns) and pick

    def faded(opacity: float) -> Spec:
        picked = {"condition": {"param": "picked", "value": opacity}, "value": opacity / 10}
        return {"opacity": picked if picks else {"value": opacity}}

    own = list(_records(lines, False, show))
    bounded = [record for record in own if not missing(record["low"])]
    told = tooltip(set="set", x=x.get("title") or "alpha", said="value [95 %]", n="n")
    points = layer("point", own, shared | told | faded(1), filled=True, size=36)
    if picks:
        points["params"] = [
            {"name": "picked", "select": {"type": "point", "fields": ["set"], "toggle": "true"}, "bind": "legend"}
        ]
    band = 0.15 / max(1, len({record["line"] for record in own})) ** 0.5  # many lie on top of each other
    return {"layer": shown([
        layer("area", bounded, shared | {"y": numeric("low", **y), "y2": {"field": "high"}} | faded(band)),
        layer("line", _records(lines, True, show), shared | dash | tooltip(set="set") | faded(0.75), strokeWidth=1),
        layer("line", own, shared | dash | faded(1), strokeWidth=2),
        points,
    ])}  # fmt: skip


def _records(lines: Sequence[Line], thin: bool, show: Callable[[HasInterval], str]) -> Iterator[Spec]:
    for place, line in enumerate(lines):
        for x, found in line.points if line.thin is thin else ():
            record = {"x": x, "value": found.value, "set": line.label, "line": place}
            told = {"n": f"{found.n:,}" if found.n else "-", "said": show(found)}
            yield record if thin else record | told | {"low": found.low, "high": found.high}
