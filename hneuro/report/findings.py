"""The headline findings in plain words. Each sentence carries its numbers, and says what they do not show."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report import wording as say
from hneuro.report.caused import causal
from hneuro.report.costs import costs
from hneuro.report.explained import explained
from hneuro.report.finding import TONES, Finding
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import (
    BASE,
    Discrimination,
    Word,
    appears,
    corrected,
    discrimination,
    drift_word,
    two_sided,
)
from hneuro.result_records import ResultRow, Results
from hneuro.significance import smallest_detectable

OFTEN = 0.5  # of the resamples


def findings(tidy: Tidy) -> tuple[Finding, ...]:
    """In the order of the method: selection, detection, mechanism, causal effect, cost, origin."""
    return (
        *_selection(tidy.results),
        *_permuted(tidy),
        *_detection(tidy),
        *_flagged(tidy),
        *_controlled(tidy),
        *_mechanism(tidy),
        *causal(tidy),
        *(Finding(**cost._asdict()) for cost in costs(tidy)),
        *_origin(tidy),
    )


def _selection(results: Results) -> Iterator[Finding]:
    if results.stability is None:
        return
    own = [f.frequency for f in results.stability.neurons if f.rank is not None]
    others = sum(f.rank is None and f.frequency >= OFTEN for f in results.stability.neurons)
    text = (
        f"{sum(share >= OFTEN for share in own)} of {len(own)} H-Neurons come back in at least half of "
        f"{results.stability.resamples} resamples of the groups, and so do {others} other neurons."
    )
    for found in results.stability.overlaps:
        if found.between == "resamples":
            text += f" Two resamples share {say.number(found.jaccard, 2)} of their neurons on average (Jaccard)."
    yield Finding(heading="Selection", badge="stability", tone="plain", text=text)


def _permuted(tidy: Tidy) -> Iterator[Finding]:
    """What selection and detection find where chance gave the labels."""
    stage = "permuted"
    for dataset in tidy.datasets(stage, "auroc"):
        own = {metric: tidy.one(stage, metric, dataset, "h_neurons") for metric in ("neurons", "auroc")}
        null = {m: [r.value for r in tidy.draws(stage, m, dataset, "h_neurons/permuted")] for m in own}
        count, area = own["neurons"], own["auroc"]
        if count is not None and area is not None and null["auroc"]:
            text = (
                f"Under {len(null['auroc'])} permutations of all labels the same selection finds "
                f"{min(null['neurons']):.0f} to {max(null['neurons']):.0f} neurons ({count.value:.0f} with the true "
                f"ones), and their AUROC on held-out {say.plain(dataset)} is {say.number(min(null['auroc']), 2)} to "
                f"{say.number(max(null['auroc']), 2)} ({say.number(area.value, 2)}, {say.p_text(area.p_value)} for one "
                "at least as high)."
            )
            yield Finding(heading="Selection", badge="permuted labels", tone="plain", text=text)


def _flagged(tidy: Tidy) -> Iterator[Finding]:
    """Made-up things: how many of the answers lie above a threshold, which says little without its false alarms."""
    for dataset in tidy.datasets("detection", "flag_rate"):
        own, random, logprob = (
            tidy.one("detection", "flag_rate", dataset, condition)
            for condition in ("h_neurons", "h_neurons/random", "logprob")
        )
        if own is None:
            continue
        beside = [
            f"{name} {say.percent(row.value)}"
            for name, row in (("random neurons", random), ("log-probability", logprob))
            if row is not None
        ]
        at_home = tidy.one("detection", "false_alarms", tidy.in_domain or "", "h_neurons")
        if at_home is not None:
            beside.append(f"false alarms on {say.plain(at_home.dataset)} {say.percent_interval(at_home)}")
        text = (
            f"Of the answers about made-up things on {say.plain(dataset)} the H-Neurons flag "
            f"{say.percent_interval(own)}, n = {own.n}{''.join(f'; {part}' for part in beside)}."
        )
        yield Finding(heading="Detection", badge="made-up things", tone="plain", text=text)


def _controlled(tidy: Tidy) -> Iterator[Finding]:
    """Answer length held fixed, and what the neurons add to the log-probability."""
    within, added = [], []
    for dataset in tidy.datasets("detection", "auroc_within_length"):
        on = say.plain(dataset)
        own, length = (
            tidy.one("detection", metric, dataset, condition)
            for metric, condition in (("auroc_within_length", "h_neurons"), ("auroc", "length"))
        )
        if own is not None and length is not None:
            within.append(f"{say.with_interval(own, 2)} on {on} (length alone {say.number(length.value, 2)})")
        gain = tidy.one("detection", "auroc_minus_logprob", dataset, "logprob+h_neurons")
        if gain is not None:
            added.append(f"{say.signed_interval(gain, 2)} on {on}")
    if within:
        text = f"Among answers of one length the H-Neurons have AUROC {'; '.join(within)}."
        yield Finding(heading="Detection", badge="length", tone="plain", text=text)
    if added:
        text = f"Added to the answer's log-probability the H-Neurons change its AUROC by {'; '.join(added)}."
        yield Finding(heading="Detection", badge="added", tone="plain", text=text)


def _mechanism(tidy: Tidy) -> Iterator[Finding]:
    for badge, text in explained(tidy):
        yield Finding(heading="Mechanism", badge=badge, tone="plain", text=text)


def _detection(tidy: Tidy) -> Iterator[Finding]:
    for neuron_set in tidy.neuron_sets:
        name = say.subject(neuron_set)
        for verdict in discrimination(tidy, "detection", neuron_set):
            on = say.plain(verdict.dataset)
            sentence = {
                Word.DETECTS: f"{name} detect hallucination on {on}",
                Word.TRANSFERS: f"{name} detect hallucination on {on} too",
                Word.NOT_WITHIN: f"{name} on {on} are {verdict.says}",
                Word.NOTHING_HELD: f"{name} on {on} are above chance and random sets, and nothing could be held fixed",
                Word.NOT_BETTER: f"{name} on {on} are above chance, but no better than random neurons",
                Word.TOO_FEW_SETS: f"{name} on {on} are above chance, and better than each of too few random sets",
                Word.NO_DETECTION: f"{name} do not detect hallucination on {on}",
                Word.NO_TRANSFER: f"The detector with {name} does not transfer to {on}",
                Word.UNMEASURED: f"{name} on {on}: not measured",
                Word.NOT_MEASURABLE: f"{name} on {on}",
            }[verdict.word]
            told = verdict.found.note if verdict.word is Word.NOT_MEASURABLE else _area(verdict)
            yield _finding("Detection", verdict.word, f"{sentence[0].upper()}{sentence[1:]}: {told}.")
    if baseline := _baseline(tidy):
        yield Finding(heading="Detection", badge="baseline", tone="plain", text=baseline)


def _area(verdict: Discrimination) -> str:
    """ "AUROC 0.86 [0.82, 0.90], n = 300; random neurons 0.66 (mean of 20 sets), p = 0.048"."""
    own = f"AUROC {say.with_interval(verdict.found, 2)}, n = {verdict.found.n}"
    if verdict.word in (Word.NO_DETECTION, Word.NO_TRANSFER):
        own += f"; {say.would_be_found(f'{smallest_detectable(verdict.found):.2f} above 0.5')}"
    if verdict.random is None:
        return f"{own}; not compared with random neurons"
    mean = f"random neurons {say.number(verdict.random.value, 2)} (mean of {verdict.random.n} sets)"
    return f"{own}; {mean}, {say.p_holm(verdict.p_holm, verdict.tests, 'test')}"


def _baseline(tidy: Tidy) -> str:
    pairs: list[tuple[str, ResultRow, ResultRow]] = []
    for dataset in tidy.datasets("detection", "auroc"):
        own = tidy.one("detection", "auroc", dataset, "h_neurons")
        logprob = tidy.one("detection", "auroc", dataset, "logprob")
        if own is not None and logprob is not None and not say.missing(own.value):
            pairs.append((dataset, own, logprob))
    if not pairs:
        return ""
    each = ", ".join(f"{say.number(logprob.value, 2)} on {say.plain(dataset)}" for dataset, _, logprob in pairs)
    ahead = sum(logprob.value > own.value for _, own, logprob in pairs)
    return (
        f"Without looking inside, the answer's log-probability alone has AUROC {each} (same rows): "
        f"ahead of the H-Neurons on {ahead} of {len(pairs)} data sets."
    )


def _origin(tidy: Tidy) -> Iterator[Finding]:
    for verdict in discrimination(tidy, "origin"):
        on = say.plain(verdict.dataset)
        sentence = {
            Word.TRANSFERS: f"The chat model's detector works on the base model, on {on}",
            Word.NOT_BETTER: f"On the base model the detector is no better than random neurons, on {on}",
            Word.TOO_FEW_SETS: f"On the base model the detector is better than each of too few random sets, on {on}",
            Word.NO_TRANSFER: f"The chat model's detector does not transfer to the base model, on {on}",
            Word.UNMEASURED: f"The chat model's detector on the base model, on {on}: not measured",
        }[verdict.word]
        yield _finding("Origin", verdict.word, f"{sentence}: {_area(verdict)}.")
    yield from _own_probe(tidy)
    yield from _moments(tidy)
    names = ("h_neurons", "h_neurons/layer_matched")
    rows = [tidy.one("origin", "drift_rank", "parameters", name) for name in names]
    tested = corrected([two_sided(row) for row in rows if row is not None])
    if rows[0] is not None:
        (drift, p), *rest = tested
        word = drift_word(rows[0], p)
        text = (
            f"Mean drift rank of the H-Neurons from base to chat: {say.with_interval(drift, 2)}, n = {drift.n}, "
            f"{say.p_holm(p, len(tested), 'test')} (0 = changed most, 1 = changed least, 0.5 = like any neuron)."
        )
        if word is Word.NO_DIFFERENCE:
            text += f" {say.would_be_found(f'A mean {smallest_detectable(drift):.2f} away from 0.5')}."
        for matched, p_matched in rest:
            text += f" Neurons of the same layers: {say.with_interval(matched, 2)}, {say.p_text(p_matched)}."
        yield _finding("Origin", word, text)


def _own_probe(tidy: Tidy) -> Iterator[Finding]:
    """What a probe of the base model's own has over the transferred one, and what both select."""
    lacking = []
    for dataset in tidy.datasets("origin", "auroc_minus_base_probe"):
        own = tidy.one("origin", "auroc", dataset, "base_probe")
        difference = tidy.one("origin", "auroc_minus_base_probe", dataset, "probe")
        if own is not None and difference is not None:
            lacking.append(
                f"{say.number(own.value, 2)} on {say.plain(dataset)} (the chat model's probe "
                f"differs by {say.signed_interval(difference, 2)})"
            )
    shared = tidy.one("origin", "shared_neurons", "neurons", "base_probe")
    if lacking and shared is not None:
        text = (
            f"The same selection, made on the base model's own answers, has AUROC {'; '.join(lacking)}. "
            f"Neurons that both select: {shared.value:.0f} ({shared.note}; {say.p_text(shared.p_value)})."
        )
        yield Finding(heading="Origin", badge="own probe", tone="plain", text=text)


def _moments(tidy: Tidy) -> Iterator[Finding]:
    """Since when the neurons tell, on the first of the data sets; the table has the others."""
    for dataset in tidy.datasets("moments", "auroc")[:1]:
        since = appears(tidy, dataset)
        rows = {moment: tidy.at(moment, "auroc", dataset, "h_neurons") for moment in (*tidy.moments, BASE)}
        course = ", ".join(f"{say.plain(m)} {say.number(r.value, 2)}" for m, r in rows.items() if r is not None)
        first = since == next(iter(rows))
        told = (
            "At no checkpoint do the H-Neurons lastingly tell better than chance and random neurons"
            if since is None
            else f"The H-Neurons tell better than chance and random neurons {'already at' if first else 'from'} "
            f"{say.plain(since)}{'' if first else ' on'}"
        )
        text = (
            f"{told}, on {say.plain(dataset)}: AUROC {course}. All read the finished base model's answers, with the "
            "chat model's detector: a sign in other neurons, or one that it cannot read yet, would not be seen."
        )
        yield Finding(heading="Origin", badge="when", tone="plain", text=text)


def _finding(heading: str, word: Word, text: str) -> Finding:
    return Finding(heading=heading, badge=word.value, tone=TONES.get(word, "plain"), text=text)
