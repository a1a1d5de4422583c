"""Stated rules that turn numbers into plain words, which follow from the rows; the page spells them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from hneuro.report.tidy import Tidy
from hneuro.report.wording import missing
from hneuro.result_records import ResultRow

CHANCE = 0.5
HELD = {  # the end of a metric, and what it holds fixed
    "logprob": "within strata of equal log-probability",
    "frequency": "within strata of equal frequency",
    "known": "among known entities",
}
BASE = "base"  # the finished base model, as the last of the moments
DETECTION_LEVEL = 0.05  # of the permutation test, whose smallest p is 1 / (1 + seeds)
CAUSAL_LEVEL = 0.01


class Word(str, Enum):
    """What a verdict says."""

    DETECTS = "detects"
    TRANSFERS = "transfers"
    NOT_WITHIN = "above chance and random sets only"
    NOTHING_HELD = "above chance and random sets, with nothing held fixed"
    NOT_BETTER = "no better than random neurons"
    TOO_FEW_SETS = "too few random sets to tell"
    NO_DETECTION = "does not detect"
    NO_TRANSFER = "does not transfer"
    EFFECT = "effect"
    UNREAD = "depends on unreadable answers"
    UNSPECIFIC = "effect not specific to these neurons"
    UNCONTROLLED = "effect, without controls to compare"
    NO_EFFECT = "no effect"
    NOT_CORRECTED = "not shown after correction"  # the interval leaves 0 out; the p does not reach the level
    CHANGED_LESS = "changed less than average"
    CHANGED_MORE = "changed more than average"
    NO_DIFFERENCE = "no difference"
    UNMEASURED = "not measured"
    NOT_MEASURABLE = "AUROC not measurable"


@dataclass(frozen=True, kw_only=True)
class Discrimination:
    """How well a neuron set tells hallucinated from faithful answers of one data set."""

    found: ResultRow
    random: ResultRow | None  # mean over the random sets
    p_holm: float | None
    tests: int  # that it is corrected for
    word: Word
    failed: tuple[str, ...] = ()  # of HELD: with what fixed nothing is left

    @property
    def dataset(self) -> str:
        return self.found.dataset

    @property
    def says(self) -> str:
        """ "above chance and random sets, but not within strata of equal log-probability"."""
        if self.word is not Word.NOT_WITHIN:
            return str(self.word.value)
        return f"above chance and random sets, but not {' and not '.join(HELD[name] for name in self.failed)}"


Family = Mapping[tuple[str, str, str], float | None]  # (metric, dataset, condition) -> p after Holm's correction


def discrimination(tidy: Tidy, stage: str, neuron_set: str = "h_neurons") -> list[Discrimination]:
    """Verdicts for stage "detection" (the chat model) or "origin" (the chat model's detector on the base model)."""
    datasets = tidy.datasets(stage, "auroc")
    pairs = [tidy.one(stage, "auroc", dataset, name) for name in tidy.neuron_sets for dataset in datasets]
    family = family_of([row for row in pairs if row is not None])
    own = [row for row in pairs if row is not None and row.condition == neuron_set]
    return [_discrimination(tidy, row, family) for row in own]


def _discrimination(tidy: Tidy, found: ResultRow, family: Family) -> Discrimination:
    place = (found.dataset, found.condition)
    random = tidy.one(found.stage, "auroc", found.dataset, f"{found.condition}/random")
    at_home = found.stage == "detection" and found.dataset == tidy.in_domain
    p, failed = family["auroc", *place], tuple[str, ...]()
    word = discrimination_word(found, random, at_home, p)
    if found.stage == "detection" and word in (Word.DETECTS, Word.TRANSFERS):
        word, failed = earned(word, {name: tidy.one("detection", f"auroc_within_{name}", *place) for name in HELD})
    return Discrimination(found=found, random=random, p_holm=p, tests=size_of(family), word=word, failed=failed)


def earned(word: Word, within: Mapping[str, ResultRow | None]) -> tuple[Word, tuple[str, ...]]:
    """The word if something is left with each of `HELD` fixed that could be, else another, and with what fixed not."""
    known = {name: row for name, row in within.items() if row is not None and not missing(row.value)}
    failed = tuple(name for name, row in known.items() if row.low is None or not row.low > CHANCE)
    if failed:
        return Word.NOT_WITHIN, failed
    return (word if known else Word.NOTHING_HELD), ()


def appears(tidy: Tidy, dataset: str) -> str | None:
    """The first checkpoint from which on the H-Neurons tell more than chance and random neurons do, to the last.

    The base model is the last of them. None where it never comes to that, or not to stay.
    """
    since: str | None = None
    rows = {moment: tidy.at(moment, "auroc", dataset, "h_neurons") for moment in (*tidy.moments, BASE)}
    known = {moment: row for moment, row in rows.items() if row is not None}
    adjusted = dict(zip(known, corrected(list(known.values())), strict=True))
    for moment in rows:
        random = tidy.at(moment, "auroc", dataset, "h_neurons/random")
        told = moment in known and discrimination_word(known[moment], random, at_home=False, p_holm=adjusted[moment][1])
        since = (since or moment) if told in (Word.TRANSFERS, Word.TOO_FEW_SETS) else None
    return since


def discrimination_word(found: ResultRow, random: ResultRow | None, at_home: bool, p_holm: float | None = None) -> Word:
    """`at_home`: on the model and the set of questions that the probe was made on, where nothing needs to transfer.

    `p_holm`: its p among random sets, corrected; None: alone.
    """
    if missing(found.value) or found.low is None or missing(found.low):
        return Word.NOT_MEASURABLE if found.note else Word.UNMEASURED
    if found.low <= CHANCE:
        return Word.NO_DETECTION if at_home else Word.NO_TRANSFER
    beats_mean = random is None or missing(random.value) or found.low > random.value
    alone = 0.0 if found.p_value is None else found.p_value
    p = alone if p_holm is None else p_holm
    if not beats_mean or (p > DETECTION_LEVEL and (random is None or alone > 1 / (1 + random.n))):
        return Word.NOT_BETTER
    if p > DETECTION_LEVEL:
        return Word.TOO_FEW_SETS  # none does as well, and more would be needed for a p below the level
    return Word.DETECTS if at_home else Word.TRANSFERS


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        highest = max(highest, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def corrected(rows: Sequence[ResultRow]) -> list[tuple[ResultRow, float | None]]:
    """Each row with its p after Holm's correction over those rows that have one."""
    tested = [row.p_value for row in rows if row.p_value is not None and not missing(row.p_value)]
    adjusted = iter(holm(tested))
    return [(row, None if missing(row.p_value) else next(adjusted)) for row in rows]


def family_of(rows: Sequence[ResultRow]) -> Family:
    """The p of each row after Holm's correction over all of them."""
    return {(row.metric, row.dataset, row.condition): p for row, p in corrected(rows)}


def size_of(family: Family) -> int:
    """How many tests it has."""
    return sum(p is not None for p in family.values())


def two_sided(row: ResultRow) -> ResultRow:
    """The row of a one-sided test with its p two-sided."""
    return row if row.p_value is None else replace(row, p_value=2 * min(row.p_value, 1 - row.p_value))


def drift_word(found: ResultRow, p_holm: float | None = None) -> Word:
    """The row's p is one-sided: H-Neurons changed less than neurons do on average. `p_holm`: two-sided, corrected."""
    if missing(found.value) or found.p_value is None:
        return Word.UNMEASURED
    p = two_sided(found).p_value if p_holm is None else p_holm
    if p is None or p >= CAUSAL_LEVEL:
        return Word.NO_DIFFERENCE
    return Word.CHANGED_LESS if found.p_value < 0.5 else Word.CHANGED_MORE
