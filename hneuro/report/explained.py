"""The mechanism in plain words: data or confidence, what both leave of the H-Neurons, and what data sets share."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report import wording as say
from hneuro.report.tables.mechanism import ADDED, STAGE, adjusted, held_fixed, sparsity_differences
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import DETECTION_LEVEL, corrected


def explained(tidy: Tidy) -> Iterator[tuple[str, str]]:
    """A badge and its sentence, for each question that the run has an answer to."""
    p_holm = adjusted(tidy)
    against, added, fixed = [], [], set()
    for dataset in tidy.datasets(STAGE, "auroc_minus_logprob"):
        areas = [tidy.one(STAGE, "auroc", dataset, name) for name in ("rarity", "logprob")]
        rare, sure = (say.number(area.value if area else None, 2) for area in areas)
        p = say.p_text(p_holm["auroc_minus_logprob", dataset, "rarity"])
        against.append(f"{rare} against {sure} on {say.plain(dataset)} ({p})")
    for dataset in tidy.datasets(STAGE, ADDED[0]):
        gain = tidy.one(STAGE, ADDED[0], dataset, ADDED[1])
        if gain is not None and held_fixed(gain):
            without = tidy.one(STAGE, "auroc", dataset, "covariates")
            within = tidy.one(STAGE, "auroc_within_covariates", dataset, "h_neurons")
            p = say.p_text(p_holm[ADDED[0], dataset, ADDED[1]])
            fixed.add(held_fixed(gain))
            added.append(
                f"{say.signed_interval(gain)} on {say.plain(dataset)} (from "
                f"{say.number(without.value if without else None, 2)}, {p}; among answers of one such risk their own "
                f"is {say.with_interval(within, 2)})"
            )
    if against:
        text = f"AUROC of rarity in the training data against the answer's log-probability: {'; '.join(against)}."
        yield "data or confidence", text
    if added:
        held = fixed.pop() if len(fixed) == 1 else "frequency and confidence"
        yield "held fixed", f"With {held} held fixed, the H-Neurons change the AUROC by {'; '.join(added)}."
    if across := _across(tidy):
        yield "across sets", across
    if density := _density(tidy):
        yield "density", density


def _across(tidy: Tidy) -> str:
    """Probes that were found on one data set: their neurons, and how they do on the others."""
    rows = [r for r in tidy.results.rows if r.stage == STAGE]
    pairs = [(r, p) for r, p in corrected([r for r in rows if r.metric == "jaccard"]) if r.dataset != "h_neurons"]
    away = [r.value for r in rows if r.metric == "transfer_auroc" and r.stratum != r.dataset]
    known = [value for value in away if not say.missing(value)]
    if not pairs or not known:
        return ""
    more = sum(p is not None and p < DETECTION_LEVEL for _, p in pairs)
    return (
        f"When each data set selects neurons of its own, {more} of {len(pairs)} pairs of sets share more of them than "
        f"as many drawn at random would (Holm, p < {DETECTION_LEVEL:g}); found on one set and tested on another, they "
        f"have AUROC {say.number(min(known), 2)} to {say.number(max(known), 2)}."
    )


def _density(tidy: Tidy) -> str:
    """Are familiar inputs represented more densely? Faithful answers stand for familiar inputs."""
    found = sparsity_differences(tidy)
    whole = {name: pair for name, pair in found.items() if name[2] == "all layers"}
    sets = [dataset for measure, dataset, _ in whole if measure == "active_share"]
    if not sets:
        return ""
    each = []
    for dataset in sets:
        sides = [tidy.rows(STAGE, "active_share", dataset, side) for side in ("faithful", "hallucinated")]
        shares = (next((r for r in side if r.stratum == "all layers"), None) for side in sides)
        faithful, hallucinated = (say.percent(r.value if r else None) for r in shares)
        share, p = whole["active_share", dataset, "all layers"]
        hoyer, p_hoyer = whole.get(("hoyer", dataset, "all layers"), (None, None))
        index = f"; in Hoyer's index {say.signed_interval(hoyer)}, {say.p_text(p_hoyer)}" if hoyer else ""
        each.append(
            f"on {say.plain(dataset)} {hallucinated} of the neurons carry 90 % of a hallucinated answer, {faithful} of "
            f"a faithful one (difference {say.points_interval(share)} points, {say.p_text(p)}{index})"
        )
    # Fewer neurons that carry it all, or a higher index: the hallucinated answers are the sparser ones.
    sparser = [
        (measure == "hoyer") == (row.value > 0)
        for (measure, _, layer), (row, p) in found.items()
        if layer != "all layers" and p is not None and p < DETECTION_LEVEL
    ]
    single = sum(layer != "all layers" for _, _, layer in found)
    return (
        f"Are familiar inputs represented more densely, if faithful answers stand for them? O{'; '.join(each)[1:]}. "
        f"Layer by layer, of {single} comparisons by either measure, faithful answers are the denser ones in "
        f"{sum(sparser)} and the sparser ones in {len(sparser) - sum(sparser)} (Holm, p < {DETECTION_LEVEL:g})."
    )
