"""The first screen: a tile for each of a reader's four questions, and the warning that matters most.

The verdicts are those of the findings. A tile of many runs has the range over them, and how many have each verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from markupsafe import Markup

from hneuro.report import wording as say
from hneuro.report.causal_verdicts import Change, every_change
from hneuro.report.compared import Compared
from hneuro.report.figures.small import Line, alpha_curve, funnel_bars, interval_lines, neuron_map
from hneuro.report.findings import CAUSAL, DETECT, NEITHER, TRUST, WHICH, YES, Finding, Tone, findings, tone_of
from hneuro.report.tables.selection import comes_back, over_pairs, resampled
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CHANCE, Word, discrimination
from hneuro.result_records import Estimate, FunnelStep, ResultRow
from hneuro.statistics import rate

NO_PICTURE = Markup()
KEPT = ("verdicts", "consistency", "refusals", "balance", "spans")  # steps of the funnel that lose answers
AXIS: Mapping[str, tuple[float | None, Callable[[float], str]]] = {  # where there is no effect, and numbers on it
    WHICH: (None, "{:,.0f}".format),
    DETECT: (CHANCE, "{:.2f}".format),
    CAUSAL: (0.0, lambda value: say.points(value, 0)),
    TRUST: (None, lambda value: say.percent(value, 0)),
}


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One question: its number, interval and n as text, and the number that they are made of."""

    question: str
    section: str  # where the page says more
    number: str = say.MISSING
    unit: str = ""
    spread: str = ""  # interval and n
    text: str = "Not part of this run."
    badge: str = Word.UNMEASURED.value
    tone: Tone = "plain"
    found: Estimate | ResultRow | None = None
    picture: Markup = NO_PICTURE


def tiles(compared: Compared) -> list[Tile]:
    """In the order of the questions."""
    every = [[make(run.tidy) for run in compared.runs] for make in (_which, _detect, _causal, _trust)]
    return [own[0] if compared.alone else _across(own) for own in every]


def warning(compared: Compared) -> str:
    """What takes most from the results; of many runs, how many of them it is true of."""
    first = [next(iter(warnings(run.tidy)), None) for run in compared.runs]
    if compared.alone:
        return f"{first[0].badge}: {first[0].text}" if first[0] else ""
    common = Counter(found.badge for found in first if found).most_common(1)
    return "".join(f"{badge} in {count} of {len(first)} runs" for badge, count in common)


def warnings(tidy: Tidy) -> list[Finding]:
    """Worst first."""
    return [f for f in findings(tidy) if f.question == TRUST and f.tone == "partly"]


def _which(tidy: Tidy) -> Tile:
    results, count = tidy.results, len(tidy.results.neurons)
    if not (count or results.path):
        return Tile(question=WHICH, section="neurons")
    pair, space = resampled(results), results.space
    layers = space.n_layers if space else len(results.neurons_by_layer)
    layers = max([layers, *(n.layer + 1 for n in results.neurons)])
    width = max([space.width if space else 1, *(n.index + 1 for n in results.neurons)])
    spread, text = "not resampled", f"In {sum(map(bool, results.neurons_by_layer))} of {layers} layers"
    if pair is not None and results.stability is not None:
        spread = f"resamples overlap by {say.with_interval(over_pairs(pair), 2)}, n = {pair.pairs:,} pairs"
        text += f"; {comes_back(results)} of {count:,} come back in half of {results.stability.resamples} resamples"
    finding = next(f for f in findings(tidy) if f.question == WHICH)
    return Tile(
        question=WHICH, section="neurons", number=f"{count:,}", spread=spread, badge=finding.badge, text=f"{text}.",
        unit="H-Neurons" + (f" of {space.size:,}" if space else ""),
        found=Estimate(value=count, low=nan, high=nan, n=space.size if space else 0),
        picture=neuron_map(results.neurons, max(layers, 1), width),
    )  # fmt: skip


def _detect(tidy: Tidy) -> Tile:
    every = sorted(discrimination(tidy, "detection"), key=lambda v: v.dataset != tidy.in_domain)
    known = [v for v in every if not say.missing(v.found.value)]
    if not known:
        return Tile(question=DETECT, section="detection", text="No AUROC could be measured." if every else Tile.text)
    shown, *others = known
    logprob = tidy.one("detection", "auroc", shown.dataset, "logprob")
    lines = [Line(found=shown.found, label="H-Neurons")]
    text = f"{say.plain(shown.dataset)}:"
    if shown.random:
        lines.append(Line(found=shown.random, label="random", colour="random", band=True))
        text += f" random neurons {say.number(shown.random.value, 2)},"
    if logprob:
        lines.append(Line(found=logprob, label="log-prob.", colour="other"))
        text += f" log-probability {say.number(logprob.value, 2)};"
    passed = sum(v.word in YES for v in others)
    text += f" transfers to {passed} of {len(others)} other sets." if others else " no other set was measured."
    return Tile(
        question=DETECT, section="detection", unit="AUROC", **_number(say.with_interval(shown.found, 2), shown.found),
        badge=shown.says, tone=tone_of(shown.word), text=text, picture=interval_lines(lines, *AXIS[DETECT]),
    )  # fmt: skip


def _causal(tidy: Tidy) -> Tile:
    """The change that is an effect, or else has the smallest p: with the correction this may be chosen by its p."""
    own = [c for c in every_change(tidy) if c.neuron_set == "h_neurons" and c.metric not in say.COSTS]
    known = [c for c in own if c.word not in NEITHER]
    if not known:
        return Tile(question=CAUSAL, section="cause")
    shown = min(known, key=lambda c: (not _rises(c), c.p_holm or 0.0, c.found.p_value or 0.0))
    rises = sum(map(_rises, known))
    curve = [r for r in tidy.curve(shown.metric, shown.benchmark, "h_neurons", None) if not say.missing(r.value)]
    controls = [
        tidy.curve(shown.metric, shown.benchmark, name, seed)
        for name in tidy.controls("causal", shown.benchmark, "h_neurons")
        for seed in tidy.seeds(shown.metric, shown.benchmark, name)
    ]
    text = f"{say.plain(shown.benchmark)}, {say.READINGS[shown.metric]}, "
    text += f"the clearest of {len(known)} changes (the interval is of this one alone): "
    text += f"controls {say.control_range(shown.controls)}, " if shown.controls else "no controls, "
    text += f"{say.p_holm(shown.p_holm, shown.tests, 'change')}. Effects that rise: {rises} of {len(known)}."
    return Tile(
        question=CAUSAL, section="cause", unit="points", **_number(say.points_interval(shown.found, 0), shown.found),
        badge=shown.says, tone="partly" if shown.word is Word.EFFECT and not _rises(shown) else tone_of(shown.word),
        text=text, picture=alpha_curve(curve, controls) if len(curve) > 1 else NO_PICTURE,
    )  # fmt: skip


def _rises(change: Change) -> bool:
    return change.word is Word.EFFECT and change.found.value > 0


def _trust(tidy: Tidy) -> Tile:
    """How many answers the results rest on, and the first warning."""
    found, steps = warnings(tidy), _steps(tidy)
    if not (found or steps or tidy.results.rows):
        return Tile(question=TRUST, section="funnel")
    tone: Tone = "partly" if found else "plain"
    badge = found[0].badge if found else "no warning"
    counted = f"{len(found)} warning{'' if len(found) == 1 else 's'} in the findings."
    if not steps:
        return Tile(question=TRUST, section="funnel", badge=badge, tone=tone, text=f"No funnel was recorded; {counted}")
    first, last = steps[0], steps[-1]
    kept = rate(last.left, first.entered)
    return Tile(
        question=TRUST, section="funnel", badge=badge, tone=tone, unit="of the answers kept",
        **_number(say.percent_interval(kept, 0), kept), picture=funnel_bars(steps),
        text=f"{last.left:,} of {first.entered:,} on {say.plain(first.dataset)}; {counted}",
    )  # fmt: skip


def _steps(tidy: Tidy) -> list[FunnelStep]:
    """Those of the set that detection is measured on at home, or else of the split that neurons are fitted on."""
    for name in (tidy.in_domain, "fit"):
        own = [s for s in tidy.results.funnel if s.dataset == name and s.stage in KEPT]
        if own and own[0].entered:
            return own
    return []


def _number(shown: str, found: Estimate | ResultRow) -> dict[str, Any]:
    """ "0.66 [0.55, 0.78]" in its two parts, with the n of the row."""
    number, _, interval = shown.partition(" [")
    return {"number": number, "spread": f"{f'95 % [{interval}, ' if interval else ''}n = {found.n:,}", "found": found}


def _across(own: Sequence[Tile]) -> Tile:
    """The range over the runs."""
    known = sorted(((tile, tile.found) for tile in own if tile.found), key=lambda pair: pair[1].value)
    counts, like = Counter(tile.badge for tile in own), own[0]
    badge, count = counts.most_common(1)[0]
    ends = dict.fromkeys(tile.number for tile, _ in (*known[:1], *known[-1:]))
    sizes = sorted(found.n for _, found in known)
    each = " to ".join(dict.fromkeys(f"{n:,}" for n in (*sizes[:1], *sizes[-1:])))
    units = list(dict.fromkeys(tile.unit for tile, _ in known))
    lines = [Line(found=found) for _, found in known]
    return Tile(
        question=like.question, section=like.section, number=" to ".join(ends) or say.MISSING,
        unit=units[0] if len(units) == 1 else like.unit.partition(" of ")[0],
        spread=f"range over {len(known)} of {len(own)} runs, n = {each} each" if known else "",
        badge=f"{badge}: {count} of {len(own)}",
        tone=like.tone if len({tile.tone for tile in own}) == 1 else "partly",
        text="; ".join(f"{name}: {k}" for name, k in counts.items() if name != badge) or "Every run says the same.",
        picture=interval_lines(lines, *AXIS[like.question]) if lines else NO_PICTURE,
    )  # fmt: skip
