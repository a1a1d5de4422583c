"""The first screen of a run: a tile for each of a reader's four questions. The verdicts are those of the findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from hneuro.report import wording as say
from hneuro.report.causal_verdicts import Change, every_change
from hneuro.report.compared import Compared
from hneuro.report.figures import style
from hneuro.report.figures.alpha import alpha_chart, charts
from hneuro.report.figures.forest import forest, of
from hneuro.report.figures.selection import neuron_map
from hneuro.report.findings import CAUSAL, DETECT, NEITHER, TRUST, WHICH, YES, Tone, findings, tone_of, warnings
from hneuro.report.tables.selection import comes_back, over_pairs, resampled
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CHANCE, Word, discrimination
from hneuro.result_records import Estimate, FunnelStep, ResultRow
from hneuro.statistics import rate

# Steps of the funnel that lose answers, and what is left by each.
KEPT = {
    "verdicts": "judged",
    "consistency": "consistent",
    "refusals": "not refused",
    "balance": "balanced",
    "spans": "located",
}


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One question: its number, interval and n as text, the row that they are made of, and a figure of it."""

    question: str
    section: str  # where the page says more
    number: str = say.MISSING
    unit: str = ""
    spread: str = ""  # interval and n
    text: str = "Not part of this run."
    badge: str = Word.UNMEASURED.value
    tone: Tone = "plain"
    found: Estimate | ResultRow | None = None
    figure: style.Spec | None = None

    @property
    def picture(self) -> Markup:
        """Inline SVG in the page's colours."""
        return Markup(style.inline(style.svg_of(self.figure), f"tile-{self.section}") if self.figure else "")


def tiles(compared: Compared) -> list[Tile]:
    """Of one run, in the order of the questions."""
    tidy = compared.runs[0].tidy
    return [_which(tidy), _detect(tidy), _causal(compared), _trust(tidy)]


def _which(tidy: Tidy) -> Tile:
    results, count = tidy.results, len(tidy.results.neurons)
    finding = next((f for f in findings(tidy) if f.question == WHICH), None)
    if finding is None:
        return Tile(question=WHICH, section="neurons")
    pair, by_layer = resampled(results), results.neurons_by_layer
    spread, text = "not resampled", f"In {sum(map(bool, by_layer))} of {len(by_layer)} layers"
    if pair is not None and results.stability is not None:
        spread = f"Jaccard of two resamples {say.with_interval(over_pairs(pair), 2)}, n = {pair.pairs:,} pairs"
        often, draws = comes_back(results), results.stability.resamples
        text += f"; {often} of {count:,} are selected in at least half of {draws} resamples"
    return Tile(
        question=WHICH,
        section="neurons",
        number=f"{count:,}",
        unit="H-Neurons" + (f" of {results.space.size:,}" if results.space else ""),
        spread=spread,
        badge=finding.badge,
        text=f"{text}.",
        figure=style.small(neuron_map(results), height=60) if count else None,
    )


def _detect(tidy: Tidy) -> Tile:
    every = sorted(discrimination(tidy, "detection"), key=lambda v: v.dataset != tidy.in_domain)
    known = [v for v in every if not say.missing(v.found.value)]
    if not known:
        return Tile(question=DETECT, section="detection", text="No AUROC could be measured." if every else Tile.text)
    shown, *others = known
    logprob = tidy.one("detection", "auroc", shown.dataset, "logprob")
    rows, text = (
        [of(shown.found, "H-Neurons", style.H_NEURONS)],
        f"Wrong from right answers, {say.plain(shown.dataset)}:",
    )
    if shown.random:
        rows.append(of(shown.random, "random", style.RANDOM))
        text += f" random neurons {say.number(shown.random.value, 2)},"
    if logprob:
        rows.append(of(logprob, "log-prob.", style.OTHER))
        text += f" log-probability {say.number(logprob.value, 2)};"
    passed = sum(v.word in YES for v in others)
    text += f" transfers to {passed} of {len(others)} other sets." if others else " no other set was tested."
    return Tile(
        question=DETECT,
        section="detection",
        unit="AUROC",
        **_number(say.with_interval(shown.found, 2), shown.found),
        badge=shown.says,
        tone=tone_of(shown.word),
        text=text,
        figure=style.small(forest(rows, "", "", CHANCE)),
    )


def _causal(compared: Compared) -> Tile:
    """The change that is an effect, or else has the smallest p: with the correction this may be chosen by its p."""
    own = [c for c in every_change(compared.runs[0].tidy) if c.neuron_set == "h_neurons" and c.metric not in say.COSTS]
    known = [c for c in own if c.word not in NEITHER]
    if not known:
        return Tile(question=CAUSAL, section="cause")
    shown = min(known, key=lambda c: (not _rises(c), c.p_holm or 0.0, c.found.p_value or 0.0))
    text = f"{say.plain(shown.benchmark)}, {say.READINGS[shown.metric]}: "
    text += f"controls {say.control_range(shown.controls)}, " if shown.controls else "no controls, "
    text += f"{say.p_holm(shown.p_holm, shown.tests, 'change')}. "
    text += f"The clearest of {len(known)} changes, which its interval does not allow for; "
    raised = sum(map(_rises, known))
    text += f"{raised} of them {'is an effect that raises' if raised == 1 else 'are effects that raise'} compliance."
    curves = [curve for found in charts(compared).values() for curve in found]
    place = (shown.benchmark, shown.metric, shown.neuron_set)
    curve = [c for c in curves if (c.benchmark, c.metric, c.neuron_set) == place]
    return Tile(
        question=CAUSAL,
        section="cause",
        unit="points over alpha",
        **_number(say.points_interval(shown.found, 0), shown.found),
        badge=shown.says,
        tone="partly" if shown.word is Word.EFFECT and not _rises(shown) else tone_of(shown.word),
        text=text,
        figure=style.small(style.finished(alpha_chart(compared, curve, 0)), height=60) if curve else None,
    )


def _rises(change: Change) -> bool:
    return change.word is Word.EFFECT and change.found.value > 0


def _trust(tidy: Tidy) -> Tile:
    """How many warnings there are, the first of them, and how many answers the results rest on."""
    found, steps = warnings(tidy), _steps(tidy)
    if not (found or steps or tidy.results.rows):
        return Tile(question=TRUST, section="funnel")
    tone: Tone = "partly" if found else "plain"
    badge = found[0].badge if found else "no warning"
    counted: dict[str, Any] = {"number": f"{len(found)}", "unit": f"warning{'' if len(found) == 1 else 's'}"}
    if not steps:
        return Tile(question=TRUST, section="funnel", badge=badge, tone=tone, text="No funnel was recorded.", **counted)
    first, last = steps[0], steps[-1]
    kept = rate(last.left, first.entered)
    return Tile(
        question=TRUST,
        section="funnel",
        badge=badge,
        tone=tone,
        **counted,
        spread=f"{say.percent_interval(kept, 0)} of {first.entered:,} answers kept",
        found=kept,
        text=f"{last.left:,} answers on {say.plain(first.dataset)} could be used. The warnings are under All findings.",
        figure=_bars(steps),
    )


def _steps(tidy: Tidy) -> list[FunnelStep]:
    """Those of the set that detection is measured on at home, or else of the split that neurons are fitted on."""
    for name in (tidy.in_domain, "fit"):
        own = [s for s in tidy.results.funnel if s.dataset == name and s.stage in KEPT]
        if own and own[0].entered:
            return own
    return []


def _bars(steps: Sequence[FunnelStep]) -> style.Spec:
    """What entered, and below it what each step left."""
    counts = [("given", steps[0].entered), *((KEPT[step.stage], step.left) for step in steps)]
    bars = [{"step": name, "count": count, "told": f"{count:,}"} for name, count in counts]
    axis = {"ticks": False, "domain": False}
    at = {"x": style.numeric("count", axis=None), "y": style.nominal("step", title=None, sort=None, axis=axis)}
    told = {"text": style.nominal("told")}
    drawn = [
        style.layer("bar", bars, at, color=style.H_NEURONS, opacity=0.75, height=10),
        style.layer("text", bars, at | told, align="left", dx=3, color=style.INK, fontSize=10),
    ]
    return style.small(style.finished({"height": 18 * len(bars), "layer": drawn}))


def _number(shown: str, found: Estimate | ResultRow) -> dict[str, Any]:
    """ "0.66 [0.55, 0.78]" in its two parts, with the n of the row."""
    number, _, interval = shown.partition(" [")
    return {"number": number, "spread": f"{f'95 % [{interval}, ' if interval else ''}n = {found.n:,}", "found": found}
