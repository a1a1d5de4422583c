"""Every neuron by how well it tells and by how much it does."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.figures.style import (
    FAINT,
    H_NEURONS,
    RANDOM,
    Picture,
    finished,
    layer,
    nominal,
    numeric,
    tooltip,
    upright,
)
from hneuro.result_records import TellsAndDoes

HEIGHT = 300  # pixels
NAMES = "tell best", "selected by effect"


def effect_pictures(compared: Compared) -> Iterator[Picture]:
    """Of one run that has selected by effect: all neurons as a grid, and on it those that tell and those that do."""
    found = compared.runs[0].found.tells_and_does
    if not compared.alone or found is None:
        return
    cells = [
        {"left": c.tells[0], "right": c.tells[1], "low": c.does[0], "high": c.does[1], "count": c.count}
        for c in found.cells
    ]
    # Bent where most neurons are, so that they and the few that do a hundred times as much can both be seen.
    usual = min((abs(end) for c in found.cells for end in c.does if end), default=1.0)
    bent = {"type": "symlog", "constant": usual, "nice": False}
    count = numeric("count", legend=None, scale={"type": "log", "range": ["#eaedf0", FAINT]})
    grid = {"x": numeric("left", title="tells: AUROC of its CETT", scale={"zero": False}), "x2": {"field": "right"},
            "y": numeric("low", title="does: effect, nats a token", scale=bent, axis={"format": "~g"}),
            "y2": {"field": "high"}, "color": count}  # fmt: skip
    points = [
        {"tells": tells, "does": does, "set": name, "told": say.number(tells), "done": say.number(does, 3)}
        for name, own in zip(NAMES, (found.telling, found.doing), strict=True)
        for tells, does in own
    ]
    look = {"domain": list(NAMES)}
    at = {"x": numeric("tells"), "y": numeric("does", scale=bent),
          "stroke": nominal("set", scale=look | {"range": [RANDOM, H_NEURONS]}),
          "shape": nominal("set", scale=look | {"range": ["square", "circle"]})}  # fmt: skip
    told = tooltip(set="set", told="AUROC", done="effect")
    marks = [
        layer("rect", cells, grid),
        upright(0.5),
        layer("rule", [{"y": 0.0}], {"y": numeric("y", scale=bent)}, color=FAINT, strokeDash=[1.5, 2.5]),
        layer("point", points, at | told, size=26, strokeWidth=1.4, filled=False),
    ]
    title = f"Tell and do: {_shared(found)}"
    alt = f"{title}. Rank correlation of both over all neurons: {say.number(found.rank_correlation)}."
    yield Picture(name="tells_and_does", alt=alt, figure=finished({"height": HEIGHT, "layer": marks}, title))


def _shared(found: TellsAndDoes) -> str:
    own = next(o for o in found.overlaps if o.sizes[1] == len(found.doing))
    expected = own.sizes[0] * own.sizes[1] / sum(cell.count for cell in found.cells)
    return f"{own.shared:g} of {len(found.doing)} in both, {expected:.2g} by chance ({say.p_text(own.p_value)})"
