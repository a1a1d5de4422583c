"""Causal effects in plain words: one line for all benchmarks, which arm it is in, and each change with its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hneuro.report import wording as say
from hneuro.report.finding import TONES, Finding, Tone
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import Change, Control, Word, every_change
from hneuro.significance import smallest_detectable

POOLED = (
    Word.EFFECT,
    Word.UNREAD,
    Word.UNSPECIFIC,
    Word.UNCONTROLLED,
    Word.NO_EFFECT,
    Word.UNMEASURED,
)  # what it says first


def causal(tidy: Tidy) -> Iterator[Finding]:
    """What scaling does, set by set, and what it costs."""
    every = list(every_change(tidy))
    for neuron_set in tidy.neuron_sets:
        own = [c for c in every if c.neuron_set == neuron_set and c.metric not in say.COSTS]
        if summary := _summary(neuron_set, own):
            yield Finding(heading="Causal effect", badge="summary", tone="plain", text=summary)
        if one_arm := _one_arm(neuron_set, own):
            yield Finding(heading="Causal effect", badge="one arm", tone="plain", text=one_arm)
        for change in own:
            yield Finding(
                heading="Causal effect",
                badge=change.says,
                tone=_tone(change),
                text=_change(tidy, change),
                in_table=True,
            )
    for change in every:
        if change.metric in say.COSTS:
            yield Finding(heading="Capability", badge=change.says, tone="plain", text=_change(tidy, change))


def _tone(change: Change) -> Tone:
    """An effect is what the method expects only where compliance rises."""
    return "partly" if change.word is Word.EFFECT and change.found.value < 0 else TONES.get(change.word, "plain")


def _summary(neuron_set: str, found: Sequence[Change]) -> str:
    """ "Scaling H-Neurons, by complying answers: effect on 2 of 4 benchmarks (doubt, forbidden), no effect on ..."."""
    parts = []
    for metric in ("compliance", "p_comply"):
        own = [c for c in found if c.metric == metric]
        said: list[str] = []
        for word in POOLED:
            names = [_fallen(c) for c in own if c.word is word]
            if names:
                of = f" of {len(own)} benchmarks" if not said else ""
                said.append(f"{word.value} on {len(names)}{of} ({', '.join(names)})")
        if said:
            parts.append(f"by {say.READINGS[metric]}: {', '.join(said)}")
    return f"Scaling {say.subject(neuron_set)}, {'; '.join(parts)}." if parts else ""


def _fallen(change: Change) -> str:
    """The benchmark, and whether the effect on it is not what the method expects."""
    falls = change.word is Word.EFFECT and change.found.value < 0
    return f"{say.plain(change.benchmark)}{', falling' if falls else ''}"


def _one_arm(neuron_set: str, found: Sequence[Change]) -> str:
    """Where one arm has an effect and the other has not; each with what the other comes to."""
    parts = []
    for change in found:
        effects = [name for name, arm in change.arms.items() if arm.word is Word.EFFECT]
        if len(effects) != 1 or len(change.arms) != 2:
            continue
        arm = change.arms[effects[0]]
        ((other, rest),) = ((name, arm) for name, arm in change.arms.items() if name != effects[0])
        parts.append(
            f"{effects[0]} on {say.plain(change.benchmark)}, {say.READINGS[change.metric]} "
            f"({say.points_interval(arm.found, 0)} points, {say.p_text(arm.p_holm)}; {other} {rest.says})"
        )
    return f"Scaling {say.subject(neuron_set)} has an effect in one arm only: {'; '.join(parts)}." if parts else ""


def _change(tidy: Tidy, change: Change) -> str:
    """ "Doubt, complying answers: 40 % at alpha 0, 61 % at alpha 3, +21 points [...], n = 240, p < 0.001; ..."."""
    curve = tidy.curve(change.metric, change.benchmark, change.neuron_set, None)
    ends = ", ".join(f"{say.percent(r.value, 0)} at alpha {r.alpha:g}" for r in (curve[0], curve[-1])) if curve else ""
    name = f"{say.plain(change.benchmark).capitalize()}, {say.READINGS[change.metric]}"
    if change.neuron_set != "h_neurons":
        name += f", {say.subject(change.neuron_set)}"
    controls = "; ".join(map(_beside, change.kinds)) or "no controls"
    p = say.p_holm(change.p_holm, change.tests, "change")
    paired = f"{say.points_interval(change.found, 0)} points, n = {change.found.n}, {p}"
    null = ""
    if change.word is Word.NO_EFFECT:
        null = say.would_be_found(f"a change of {100 * smallest_detectable(change.found):.0f} points")
    return f"{name}: {'; '.join(filter(None, (ends, paired, _unread(tidy, change), controls, null)))}."


def _unread(tidy: Tidy, change: Change) -> str:
    """What hangs on answers that cannot be read: how many at the ends, both bounds, and the complete cases."""
    if change.bounds is None or change.bounds[0].value == change.bounds[1].value:
        return ""
    lost = tidy.curve("unparsed", change.benchmark, change.neuron_set, None)
    ends = " and ".join(f"{say.percent(row.value, 0)} at alpha {row.alpha:g}" for row in (lost[0], lost[-1]))
    low, high = (say.points(row.value, 0) for row in change.bounds)
    whole = tidy.one("causal", f"change_{change.metric}_complete", change.benchmark, change.neuron_set)
    read = f" ({say.points_interval(whole, 0)} on the {whole.n} read at every alpha)" if whole else ""
    return f"unread {ends}, with which anything from {low} to {high} can be true{read}"


def _beside(control: Control) -> str:
    """ "20 sets of random neurons -1 to +3 (p = 0.048 among them, p = 0.048 by slope)"."""
    slope = "" if say.missing(control.p_slope) else f", {say.p_text(control.p_slope)} by slope"
    return (
        f"{len(control.changes)} sets of {say.condition_name(f'h_neurons/{control.kind}')} "
        f"{say.points(min(control.changes), 0)} to {say.points(max(control.changes), 0)} "
        f"({say.p_text(control.p)} among them{slope})"
    )
