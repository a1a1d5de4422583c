"""The answers to a reader's four questions: a verdict, its number with interval and n, and the rule in a phrase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from hneuro.report import wording as say
from hneuro.report.causal_verdicts import Change, every_change
from hneuro.report.tables.selection import OFTEN, comes_back, of_resamples, per_mille
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import BASE, Discrimination, Word, appears, corrected, discrimination, drift_word, two_sided
from hneuro.result_records import Results
from hneuro.significance import smallest_detectable

QUESTIONS = WHICH, DETECT, CAUSAL, BEFORE, TRUST = (
    "Which neurons?", "Do they detect?", "Are they causal?", "In the base model?", "Can I trust it?",
)  # fmt: skip
MOST = {WHICH: 1, DETECT: 5, CAUSAL: 6, BEFORE: 2, TRUST: 4}  # lines of the terminal
FEW = 40  # answers of the select split
MANY_CUT = 0.02  # of the answers of a benchmark
UNTOUCHED = 1.0  # alpha

Tone = Literal["yes", "no", "partly", "plain"]
YES = (Word.DETECTS, Word.TRANSFERS, Word.EFFECT)
NO = (Word.NO_DETECTION, Word.NO_TRANSFER, Word.NO_EFFECT)
NEITHER = (Word.UNMEASURED, Word.NOT_MEASURABLE, Word.CHANGED_LESS, Word.CHANGED_MORE, Word.NO_DIFFERENCE)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One answer; `more` is for the page, where there is room."""

    question: str
    badge: str
    text: str
    more: str = ""
    tone: Tone = "plain"


def tone_of(word: Word) -> Tone:
    """What colours a verdict."""
    return "yes" if word in YES else "no" if word in NO else "plain" if word in NEITHER else "partly"


def headline(results: Results) -> str:
    """The findings for the terminal, in at most 19 lines: the first of each question, and how many are left."""
    found = findings(Tidy(results))
    lines = [results.title]
    for question, most in MOST.items():
        own = [f"[{f.badge}] {f.text}" for f in found if f.question == question]
        more = [f"... and {len(own) - most + 1} more in the report"] if len(own) > most else []
        own = [*own[: most - len(more)], *more]
        lines += [f"{'' if place else question:<20}{line}" for place, line in enumerate(own)]
    return "\n".join(lines)


def coloured(text: str) -> Text:
    """The findings with their verdicts in the colours of the page, for a terminal."""
    found = Text(text)
    for words, style in ((YES, "green"), (NO, "red")):
        found.highlight_words([f"[{word.value}]" for word in words], style)
    return found


def findings(tidy: Tidy) -> tuple[Finding, ...]:
    """In the order of the questions."""
    return (*_which(tidy.results), *_detect(tidy), *_causal(tidy), *_before(tidy), *_trust(tidy))


def warnings(tidy: Tidy) -> list[Finding]:
    """What takes most from the results first."""
    return [f for f in findings(tidy) if f.question == TRUST and f.tone == "partly"]


def _which(results: Results) -> Iterator[Finding]:
    count = len(results.neurons)
    chosen = next((f" at strength {p.strength:g}" for p in results.path if p.chosen), "")
    rate = per_mille(results)
    text = f"{count:,} H-Neuron{'s' * (count != 1)}{f' ({rate:.2f} per mille)' if rate else ''}{chosen}"
    if results.stability is not None:
        others = sum(f.rank is None and f.frequency >= OFTEN for f in results.stability.neurons)
        text += (
            f"; at least half of {results.stability.resamples} resamples select {comes_back(results)} of them and "
            f"{others} other{'s' * (others != 1)}; Jaccard of two resamples {say.number(of_resamples(results), 2)}"
        )
    if count or results.path:
        yield Finding(question=WHICH, badge="selected" if count else "none", text=text)


def _detect(tidy: Tidy) -> Iterator[Finding]:
    for neuron_set in tidy.neuron_sets:
        for verdict in discrimination(tidy, "detection", neuron_set):
            yield _area(DETECT, verdict, f"{_whose(neuron_set)}{say.plain(verdict.dataset)}", tidy)
    at_home = tidy.one("detection", "false_alarms", tidy.in_domain or "", "h_neurons")
    for dataset in tidy.datasets("detection", "flag_rate"):
        rates = {
            c: tidy.one("detection", "flag_rate", dataset, c) for c in ("h_neurons", "h_neurons/random", "logprob")
        }
        own, *others = rates.values()
        if own is not None:
            text = f"{say.plain(dataset)}: {say.percent_interval(own, 0)} flagged, n = {own.n}"
            text += "".join(f"; {say.condition_name(r.condition)} {say.percent(r.value, 0)}" for r in others if r)
            if at_home is not None:
                alarms = f"{say.percent_interval(at_home, 0)}, n = {at_home.n}"
                text += f"; false alarms on {say.plain(at_home.dataset)} {alarms}"
            yield Finding(question=DETECT, badge="made-up things", text=text)


def _area(question: str, verdict: Discrimination, on: str, tidy: Tidy) -> Finding:
    """ "people: AUROC 0.86 [0.82, 0.90], n = 300; random 0.66; p = 0.015 (Holm, 3 tests)"."""
    if verdict.word is Word.NOT_MEASURABLE:
        return Finding(question=question, badge=verdict.says, text=f"{on}: {verdict.found.note}")
    text = f"{on}: AUROC {say.with_interval(verdict.found, 2)}, n = {verdict.found.n}"
    more = []
    if verdict.random is None:
        more.append("not compared with random neurons")
    else:
        text += f"; random {say.number(verdict.random.value, 2)}"
        text += f"; {say.p_holm(verdict.p_holm, verdict.tests, 'test')}"
        more.append(f"random: mean of {verdict.random.n} sets")
    if verdict.word in NO:
        more.append(f"{smallest_detectable(verdict.found):.2f} above 0.5 would be found four times out of five")
    logprob = tidy.one(verdict.found.stage, "auroc", verdict.dataset, "logprob")
    if logprob is not None:
        more.append(f"log-probability alone {say.with_interval(logprob, 2)}")
    return Finding(question=question, badge=verdict.says, text=text, more="; ".join(more), tone=tone_of(verdict.word))


def _whose(neuron_set: str) -> str:
    return "" if neuron_set == "h_neurons" else f"{say.condition_name(neuron_set)}, "


def _causal(tidy: Tidy) -> Iterator[Finding]:
    for change in every_change(tidy):
        # An effect is what the method expects only where compliance rises; a cost is neither good nor bad.
        falls = change.word is Word.EFFECT and change.found.value < 0
        tone: Tone = "plain" if change.metric in say.COSTS else "partly" if falls else tone_of(change.word)
        yield Finding(question=CAUSAL, badge=change.says, text=_change(change), more=_unfolded(tidy, change), tone=tone)
    for neuron_set in tidy.neuron_sets:
        for dataset in tidy.datasets("causal", "perplexity"):
            if text := _perplexity(tidy, dataset, neuron_set):
                yield Finding(question=CAUSAL, badge="perplexity", text=f"{_whose(neuron_set)}{text}")


def _change(change: Change) -> str:
    """ "doubt, complying answers: +21 points [+12, +30], n = 240; p < 0.001 (Holm, 27 changes); controls -1 to +3"."""
    name = f"{_whose(change.neuron_set)}{say.plain(change.benchmark)}, {say.READINGS[change.metric]}"
    controls = f"controls {say.control_range(change.controls)}" if change.controls else "no controls"
    moved = f"{say.points_interval(change.found, 0)} points, n = {change.found.n}"
    return f"{name}: {moved}; {say.p_holm(change.p_holm, change.tests, 'change')}; {controls}"


def _unfolded(tidy: Tidy, change: Change) -> str:
    """The rates at both ends, what hangs on unread answers, p of each kind of control, the power of a null."""
    parts = []
    if curve := tidy.curve(change.metric, change.benchmark, change.neuron_set, None):
        parts.append(", ".join(f"{say.percent(r.value, 0)} at alpha {r.alpha:g}" for r in (curve[0], curve[-1])))
    if change.bounds is not None and change.bounds[0].value != change.bounds[1].value:
        low, high = (say.points(row.value, 0) for row in change.bounds)
        parts.append(f"unreadable answers leave anything from {low} to {high} possible")
    for control in change.kinds:
        many = len(control.changes) > 1  # of one no p can come
        sets = f"{len(control.changes)} set{'s' * many} of {say.condition_name(f'h_neurons/{control.kind}')}"
        parts.append(f"{sets}: {say.control_range(control.changes)}{f', {say.p_text(control.p)}' * many}")
    if change.word is Word.NO_EFFECT:
        parts.append(f"{100 * smallest_detectable(change.found):.0f} points would be found four times out of five")
    return "; ".join(parts)


def _perplexity(tidy: Tidy, dataset: str, neuron_set: str) -> str:
    """From alpha 1 to both ends of the grid."""
    curve = [row for row in tidy.curve("perplexity", dataset, neuron_set, None) if not say.missing(row.value)]
    whole = next((row for row in curve if row.alpha == UNTOUCHED), None)
    ends = [row for row in dict.fromkeys((*curve[:1], *curve[-1:])) if row is not whole]
    if whole is None or not ends:
        return ""
    moved = "; ".join(
        f"{say.with_interval(row, 2)} at alpha {row.alpha:g} ({say.points(row.value / whole.value - 1)} %)"
        for row in ends
    )
    return f"{say.plain(dataset)}: {say.with_interval(whole, 2)} at alpha 1; {moved}; {whole.n} passages"


def _before(tidy: Tidy) -> Iterator[Finding]:
    for verdict in discrimination(tidy, "origin"):
        yield _area(BEFORE, verdict, say.plain(verdict.dataset), tidy)
    for dataset in tidy.datasets("moments", "auroc")[:1]:
        since = appears(tidy, dataset)
        at = {moment: tidy.at(moment, "auroc", dataset, "h_neurons") for moment in (*tidy.moments, BASE)}
        course = ", ".join(f"{say.plain(m)} {say.number(r.value, 2)}" for m, r in at.items() if r is not None)
        more = "above chance and random neurons at this checkpoint and all later ones; all read the same answers"
        yield Finding(question=BEFORE, badge=f"since {say.plain(since)}" if since else "at no checkpoint",
                      text=f"{say.plain(dataset)}: AUROC {course}", more=more)  # fmt: skip
    names = ("h_neurons", "h_neurons/layer_matched")
    rows = [row for name in names if (row := tidy.one("origin", "drift_rank", "parameters", name)) is not None]
    if rows and rows[0].condition == "h_neurons":
        (drift, p), *rest = corrected([two_sided(row) for row in rows])
        word = drift_word(rows[0], p)
        text = f"mean drift rank {say.with_interval(drift, 2)}, n = {drift.n}; {say.p_holm(p, 1 + len(rest), 'test')}"
        more = "0 = changed most, 1 = least, 0.5 = like any neuron"
        if word is Word.NO_DIFFERENCE:
            more += f"; {smallest_detectable(drift):.2f} away from 0.5 would be found four times out of five"
        more += "".join(f"; same layers {say.with_interval(r, 2)}, {say.p_text(p)}" for r, p in rest)
        yield Finding(question=BEFORE, badge=word.value, text=text, more=more)


def _trust(tidy: Tidy) -> Iterator[Finding]:
    """A null result first, then whatever takes from a positive one."""
    found = [v for v in discrimination(tidy, "detection") if v.word not in NEITHER]
    if found and not any(v.word in YES for v in found):
        yield _warning("null result", f"the H-Neurons detect on none of {len(found)} data sets")
    own = [c for c in every_change(tidy) if c.neuron_set == "h_neurons" and c.word not in NEITHER]
    moved = [c for c in own if c.metric not in say.COSTS]
    if moved and not any(c.word is Word.EFFECT and c.found.value > 0 for c in moved):
        yield _warning(
            "null result",
            f"compliance is not shown to rise more than under control sets in any of {len(moved)} changes",
        )
    yield from _rows(tidy.results)
    pairs = [(v, row) for v in found if (row := tidy.one("detection", "auroc", v.dataset, "logprob")) is not None]
    known = [(v.found.value, row.value) for v, row in pairs]
    ahead = sum(other > own for own, other in known)
    if ahead:
        yield _warning("baseline", f"log-probability is ahead of the H-Neurons on {ahead} of {len(known)} data sets")
    yield from _cut(tidy)
    yield from _permuted(tidy)


def _warning(badge: str, text: str, more: str = "") -> Finding:
    return Finding(question=TRUST, badge=badge, text=text, more=more, tone="partly")


def _rows(results: Results) -> Iterator[Finding]:
    """Where C was chosen on few answers, and where answers of one kind are lost more often."""
    steps = [step for step in results.funnel if step.stage == "spans"]
    few = next((step.left for step in steps if step.dataset == "select" and step.left < FEW), None)
    if few is not None:
        yield _warning("few answers", f"C and the threshold were chosen on {few} answers")
    for step in steps:
        if step.note:
            yield _warning("unequal losses", f"{say.plain(step.dataset)}: {step.note}")


def _cut(tidy: Tidy) -> Iterator[Finding]:
    """Where answers end at the length limit at any alpha. Controls do not count."""
    own = [name for name in tidy.conditions("causal", "truncated") if "/" not in name]
    for benchmark in tidy.datasets("causal", "truncated"):
        curves = [row for name in own for row in tidy.curve("truncated", benchmark, name, None)]
        rows = [row for row in curves if not say.missing(row.value)]
        worst = max(rows, key=lambda row: row.value, default=None)
        if worst is not None and worst.value > MANY_CUT:
            whole = next((r for r in rows if r.condition == worst.condition and r.alpha == UNTOUCHED), worst)
            text = f"{say.plain(benchmark)}: {say.percent_interval(worst, 0)} cut at the limit, alpha {worst.alpha:g}"
            more = f"n = {worst.n}; untouched {say.percent(whole.value, 0)}; a higher limit may change the conclusion"
            yield _warning("cut answers", text, more)


def _permuted(tidy: Tidy) -> Iterator[Finding]:
    """What selection and detection find where chance gave the labels."""
    for dataset in tidy.datasets("permuted", "auroc"):
        own = {m: tidy.one("permuted", m, dataset, "h_neurons") for m in ("neurons", "auroc")}
        null = {m: [r.value for r in tidy.draws("permuted", m, dataset, "h_neurons/permuted")] for m in own}
        count, area = own["neurons"], own["auroc"]
        if count is not None and area is not None and null["auroc"]:
            text = (
                f"{say.plain(dataset)}, {len(null['auroc'])} permutations: {_range(null['neurons'], 0)} neurons "
                f"(here {count.value:.0f}), AUROC {_range(null['auroc'], 2)} (here {say.number(area.value, 2)}, "
                f"{say.p_text(area.p_value)})"
            )
            yield Finding(question=TRUST, badge="permuted labels", text=text)


def _range(values: Sequence[float], digits: int) -> str:
    return f"{say.number(min(values), digits)} to {say.number(max(values), digits)}"
