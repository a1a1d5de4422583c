"""Causal effects in one number a curve: slopes and changes, each beside its controls."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.headline import control_range
from hneuro.report.tables.table import Record, Table, without_single
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import Arm, Change, every_change
from hneuro.result_records import ResultRow

KINDS = ("random", "layer_matched", "contribution_matched", "norm_matched")
P_HEADS = tuple(f"p ({kind.replace('_', '-')})" for kind in KINDS)
CONTROLLED = ("controls", "controls_low", "controls_high", "p_controls", *(f"p_{kind}" for kind in KINDS))


def slopes_table(tidy: Tidy) -> Table:
    """Slopes over all alphas; and at the alphas of the controls, against the slopes of each kind of control."""
    numbers: list[Record] = []
    shown = []
    for change in every_change(tidy):
        metric = f"slope_{change.metric}"
        slope = tidy.one("causal", metric, change.benchmark, change.neuron_set)
        if slope is None:
            continue
        against = {
            row.stratum.rpartition("/")[2]: row
            for row in tidy.rows("causal", f"slope_against_{change.metric}", change.benchmark, change.neuron_set)
        }
        controls = tidy.control_values(metric, change.benchmark, change.neuron_set)
        at_ends = next(iter(against.values()), None)
        p_values = {kind: against[kind].p_value if kind in against else None for kind in KINDS}
        numbers.append(
            {
                **_subject(change), **numbers_of("slope", slope), "n": slope.n, **numbers_of("matched", at_ends),
                "controls": len(controls), "controls_low": min(controls, default=None),
                "controls_high": max(controls, default=None),
                **{f"p_{kind}": p for kind, p in p_values.items()},
            }
        )  # fmt: skip
        shown.append(
            (
                *_names(change), say.points_interval(slope), str(slope.n), say.points_interval(at_ends),
                control_range(controls, 1), str(len(controls)),
                *(say.p_cell(p) for p in p_values.values()),
            )
        )  # fmt: skip
    every = (
        "benchmark", "reading", "neurons", "slope", "n", "at controls' alphas", "controls", "sets", *P_HEADS,
    )  # fmt: skip
    heads, rows = without_single(every, shown, "neurons")
    return Table(
        name="slopes",
        caption="Slopes in percentage points per unit of alpha, with 95 % intervals; and at the controls' alphas, "
        "beside the range of the controls' slopes. p: that it is one of the control sets', two-sided.",
        columns=(
            "benchmark", "metric", "neuron_set", "slope", "slope_low", "slope_high", "n", "matched", "matched_low",
            "matched_high", "controls", "controls_low", "controls_high", *(f"p_{kind}" for kind in KINDS),
        ),
        numbers=tuple(numbers),
        heads=heads,
        shown=tuple(rows),
    )  # fmt: skip


def changes_table(tidy: Tidy) -> Table:
    every = list(every_change(tidy))
    heads, rows = without_single(
        (
            "benchmark", "reading", "neurons", "change", "up to alpha 1", "beyond it", "n", "p", "p (Holm)",
            "controls", *P_HEADS, "verdict",
        ),
        [
            (
                *_names(change), say.points_interval(change.found), say.points_interval(_row(change.to_one)),
                say.points_interval(_row(change.from_one)), str(change.found.n), say.p_cell(change.found.p_value),
                say.p_cell(change.p_holm), *_beside(change), change.says,
            )
            for change in every
        ],
        "neurons",
    )  # fmt: skip
    return Table(
        name="changes",
        caption="Changes in percentage points from the lowest to the highest alpha, paired by prompt, with 95 % "
        "intervals, and its two arms: from the lowest alpha to 1, and from 1 to the highest. p of the whole change: "
        "McNemar (answers) or Wilcoxon (probabilities), by entity. Controls: the range of their changes; p: that it "
        "is one of the sets of a kind, two-sided. The verdict also asks the slopes, and what is unread.",
        columns=(
            "benchmark", "metric", "neuron_set", "change", "change_low", "change_high", "n", "p_value", "p_holm",
            *CONTROLLED, "verdict", "to_1", "to_1_low", "to_1_high", "to_1_p", "from_1", "from_1_low",
            "from_1_high", "from_1_p", "bound_low", "bound_high",
        ),
        numbers=tuple(
            {
                **_subject(change), **numbers_of("change", change.found), "n": change.found.n,
                "p_value": change.found.p_value, "p_holm": change.p_holm, **_controls(change),
                "verdict": change.says,
                **numbers_of("to_1", _row(change.to_one)),
                "to_1_p": change.to_one.found.p_value if change.to_one else None,
                **numbers_of("from_1", _row(change.from_one)),
                "from_1_p": change.from_one.found.p_value if change.from_one else None,
                **dict(zip(("bound_low", "bound_high"), _bounds(change), strict=True)),
            }
            for change in every
        ),
        heads=heads,
        shown=tuple(rows),
    )  # fmt: skip


def arms_table(tidy: Tidy) -> Table:
    """Suppression and amplification apart, each with all that the whole change has."""
    every = [(change, name, arm) for change in every_change(tidy) for name, arm in change.arms.items()]
    heads, rows = without_single(
        (
            "benchmark", "reading", "neurons", "arm", "change", "n", "p", "p (Holm)", "controls", *P_HEADS,
            "verdict",
        ),
        [
            (
                *_names(change), name, say.points_interval(arm.found), str(arm.found.n),
                say.p_cell(arm.found.p_value), say.p_cell(arm.p_holm), *_beside(arm), arm.says,
            )
            for change, name, arm in every
        ],
        "neurons",
    )  # fmt: skip
    return Table(
        name="arms",
        caption="The two arms of each change in percentage points, with 95 % intervals: from the lowest alpha to 1 "
        "(what rises there, suppression takes away), and from 1 to the highest (what rises, amplification adds). "
        "Holm's correction is over all changes of this page and their arms.",
        columns=(
            "benchmark", "metric", "neuron_set", "arm", "change", "change_low", "change_high", "n", "p_value", "p_holm",
            *CONTROLLED, "verdict",
        ),
        numbers=tuple(
            {
                **_subject(change), "arm": name, **numbers_of("change", arm.found), "n": arm.found.n,
                "p_value": arm.found.p_value, "p_holm": arm.p_holm, **_controls(arm), "verdict": arm.says,
            }
            for change, name, arm in every
        ),
        heads=heads,
        shown=tuple(rows),
    )  # fmt: skip


def _bounds(change: Change) -> tuple[float | None, float | None]:
    return (None, None) if change.bounds is None else (change.bounds[0].value, change.bounds[1].value)


def _row(arm: Arm | None) -> ResultRow | None:
    return arm.found if arm else None


def _controls(arm: Arm) -> Record:
    """The columns `CONTROLLED`."""
    numbers: Record = {
        "controls": len(arm.controls), "controls_low": min(arm.controls, default=None),
        "controls_high": max(arm.controls, default=None), "p_controls": arm.p_controls,
    }  # fmt: skip
    return {**numbers, **{f"p_{kind}": p for kind, p in _p_of(arm).items()}}


def _beside(arm: Arm) -> tuple[str, ...]:
    """The same as people read it: the range, and p among each kind."""
    return control_range(arm.controls, 1), *map(say.p_cell, _p_of(arm).values())


def _p_of(arm: Arm) -> dict[str, float | None]:
    found = {control.kind: control.p for control in arm.kinds}
    return {kind: found.get(kind) for kind in KINDS}


def _subject(change: Change) -> Record:
    return {"benchmark": change.benchmark, "metric": change.metric, "neuron_set": change.neuron_set}


def _names(change: Change) -> tuple[str, str, str]:
    return say.plain(change.benchmark), say.READINGS[change.metric], say.condition_name(change.neuron_set)
