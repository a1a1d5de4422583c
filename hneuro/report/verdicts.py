"""Stated rules that turn numbers into plain words. The words follow from the rows, never from hopes.

Detection: the interval of the AUROC lies above 0.5, the neurons beat random ones (interval above the mean of the random
sets, p <= 0.05 among them after Holm's correction over all data sets and sets of neurons of the stage), and with each
of `HELD` fixed that could be the interval lies above 0.5, too. Causal: the paired change from the lowest to the highest
alpha has p < 0.01 after Holm's correction over every change that the page tests, arms included, and an interval without
0; its sign stays whatever the answers say that cannot be read; and no kind of control does as much: no set of it
changes as much in that direction, and the slope has p <= 0.05 among its slopes. The two arms of the change, from the
lowest alpha to 1 and from 1 to the highest, have verdicts by the same rules, without slopes. What the controls do can
only take an effect away, so that their p need no correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from hneuro.report.tidy import Tidy
from hneuro.report.wording import READINGS, missing
from hneuro.result_records import ResultRow
from hneuro.significance import share_as_far

CHANCE = 0.5
HELD = {  # the end of a metric, and what it holds fixed
    "logprob": "within strata of equal log-probability",
    "frequency": "within strata of equal frequency",
    "known": "among known entities",
}
BASE = "base"  # the finished base model, as the last of the moments
DETECTION_LEVEL = 0.05  # of the permutation test, whose smallest p is 1 / (1 + seeds)
CAUSAL_LEVEL = 0.01
SLOPE_LEVEL = 0.05  # as DETECTION_LEVEL, of each kind of control


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
    UNREAD = "hangs on what cannot be read"
    UNSPECIFIC = "effect not specific to these neurons"
    UNCONTROLLED = "effect, without controls to compare"
    NO_EFFECT = "no effect"
    CHANGED_LESS = "changed less than average"
    CHANGED_MORE = "changed more than average"
    NO_DIFFERENCE = "no difference"
    UNMEASURED = "not measured"
    NOT_MEASURABLE = "AUROC not measurable"


@dataclass(frozen=True, kw_only=True)
class Discrimination:
    """How well a neuron set tells hallucinated from faithful answers of one data set."""

    dataset: str
    neuron_set: str
    found: ResultRow
    random: ResultRow | None  # mean over the random sets
    p_holm: float | None
    tests: int  # that it is corrected for
    word: Word
    failed: tuple[str, ...] = ()  # of HELD: with what fixed nothing is left

    @property
    def says(self) -> str:
        """ "above chance and random sets, but not within strata of equal log-probability"."""
        if self.word is not Word.NOT_WITHIN:
            return str(self.word.value)
        return f"above chance and random sets, but not {' and not '.join(HELD[name] for name in self.failed)}"


Bounds = tuple[ResultRow, ResultRow]  # of a change: the least and the most that the unread can make of it
Family = Mapping[tuple[str, str, str], float | None]  # (metric, dataset, condition) -> p after Holm's correction


@dataclass(frozen=True, kw_only=True)
class Control:
    """What the control sets of one kind do to the same reading between the same alphas."""

    kind: str  # "random", "layer_matched"
    change: float  # of the neurons
    changes: tuple[float, ...]  # under each set
    p_slope: float | None  # that a set is as steep; None for an arm, and where slopes were not compared

    @property
    def p(self) -> float | None:
        """That the neurons change like one of the sets, two-sided."""
        return control_p(self.change, self.changes)

    @property
    def as_much(self) -> bool:
        """Whether it explains the change. So few sets that p cannot reach the level must all be less steep.

        Controls that move the other way explain nothing, however far: scaling any neurons enough breaks a model.
        """
        least = 2 / (1 + len(self.changes))
        steep = self.p_slope is not None and not missing(self.p_slope) and self.p_slope > max(SLOPE_LEVEL, least)
        sign = 1.0 if self.change >= 0 else -1.0
        return steep or any(sign * change >= sign * self.change for change in self.changes)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A paired change from one alpha to another, that of the controls, and the verdict."""

    found: ResultRow
    p_holm: float | None
    tests: int  # that it is corrected for
    bounds: Bounds | None  # None where everything has a value, as a probability
    kinds: tuple[Control, ...]
    word: Word

    @property
    def controls(self) -> tuple[float, ...]:
        """The change under each control set, of all kinds."""
        return tuple(change for control in self.kinds for change in control.changes)

    @property
    def p_controls(self) -> float | None:
        return control_p(self.found.value, self.controls)

    @property
    def says(self) -> str:
        """The verdict with the direction of an effect: "effect, rises"."""
        if self.word is not Word.EFFECT:
            return str(self.word.value)
        return f"{self.word.value}, {'rises' if self.found.value > 0 else 'falls'}"


@dataclass(frozen=True, kw_only=True)
class Change(Arm):
    """What scaling a neuron set from the lowest to the highest alpha did to one reading of one benchmark."""

    benchmark: str
    neuron_set: str
    metric: str  # one of `hneuro.report.wording.READINGS`
    to_one: Arm | None  # from the lowest alpha to 1: what suppression does, with its sign turned
    from_one: Arm | None  # from 1 to the highest alpha

    @property
    def arms(self) -> dict[str, Arm]:
        """By the words for it."""
        named = {"up to alpha 1": self.to_one, "beyond alpha 1": self.from_one}
        return {name: arm for name, arm in named.items() if arm is not None}


def discrimination(tidy: Tidy, stage: str, neuron_set: str = "h_neurons") -> list[Discrimination]:
    """Verdicts for stage "detection" (the chat model) or "origin" (the chat model's detector on the base model)."""
    verdicts = []
    datasets = tidy.datasets(stage, "auroc")
    pairs = [tidy.one(stage, "auroc", dataset, name) for name in tidy.neuron_sets for dataset in datasets]
    family = family_of([row for row in pairs if row is not None])
    for dataset in datasets:
        found = tidy.one(stage, "auroc", dataset, neuron_set)
        if found is None:
            continue
        random = tidy.one(stage, "auroc", dataset, f"{neuron_set}/random")
        at_home = stage == "detection" and dataset == tidy.in_domain
        p = family["auroc", dataset, neuron_set]
        word, failed = discrimination_word(found, random, at_home, p), tuple[str, ...]()
        if stage == "detection" and word in (Word.DETECTS, Word.TRANSFERS):
            within = {name: tidy.one(stage, f"auroc_within_{name}", dataset, neuron_set) for name in HELD}
            word, failed = earned(word, within)
        verdicts.append(
            Discrimination(
                dataset=dataset,
                neuron_set=neuron_set,
                found=found,
                random=random,
                p_holm=p,
                tests=size_of(family),
                word=word,
                failed=failed,
            )
        )
    return verdicts


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


def changes(tidy: Tidy, neuron_set: str, metric: str) -> list[Change]:
    """One verdict a benchmark; Holm's correction is over all changes of the page, whatever is asked for here."""
    family = _every_test(tidy)
    down, up = (_arms(tidy, family, neuron_set, f"change_{arm}_1_{metric}") for arm in ("to", "from"))
    return [
        Change(
            **vars(arm),
            benchmark=benchmark,
            neuron_set=neuron_set,
            metric=metric,
            to_one=down.get(benchmark),
            from_one=up.get(benchmark),
        )
        for benchmark, arm in _arms(tidy, family, neuron_set, f"change_{metric}", f"slope_against_{metric}").items()
    ]


def _every_test(tidy: Tidy) -> Family:
    """Every change of every reading, set and benchmark, and its arms."""
    metrics = [f"change_{arm}{reading}" for reading in READINGS for arm in ("", "to_1_", "from_1_")]
    rows = (
        tidy.one("causal", metric, benchmark, neuron_set)
        for metric in metrics
        for benchmark in tidy.datasets("causal", metric)
        for neuron_set in tidy.neuron_sets
    )
    return family_of([row for row in rows if row is not None])


def _arms(tidy: Tidy, family: Family, neuron_set: str, metric: str, slope: str = "") -> dict[str, Arm]:
    """By benchmark; `slope`: the metric of the rows that set its slope against those of the controls, if any do."""
    found = {}
    for benchmark in tidy.datasets("causal", metric):
        row = tidy.one("causal", metric, benchmark, neuron_set)
        if row is None:
            continue
        p, kinds = family[metric, benchmark, neuron_set], tuple(_controls(tidy, row, slope))
        low, high = (tidy.one("causal", f"{metric}_{end}", benchmark, neuron_set) for end in ("low", "high"))
        bounds = None if low is None or high is None else (low, high)
        word = change_word(row, p, kinds, bounds)
        found[benchmark] = Arm(found=row, p_holm=p, tests=size_of(family), bounds=bounds, kinds=kinds, word=word)
    return found


def _controls(tidy: Tidy, row: ResultRow, slope: str) -> Iterator[Control]:
    """The kinds of control that have any value to compare with the row."""
    steep = {r.stratum: r.p_value for r in tidy.rows("causal", slope, row.dataset, row.condition)}
    for condition in tidy.controls("causal", row.dataset, row.condition):
        draws = tidy.draws("causal", row.metric, row.dataset, condition)
        values = tuple(draw.value for draw in draws if not missing(draw.value))
        if values:
            kind = condition.rpartition("/")[2]
            yield Control(kind=kind, change=row.value, changes=values, p_slope=steep.get(condition))


def every_change(tidy: Tidy) -> Iterator[Change]:
    """By neuron set, benchmark and reading."""
    for neuron_set in tidy.neuron_sets:
        found = [c for metric in READINGS for c in changes(tidy, neuron_set, metric)]
        yield from sorted(found, key=lambda c: tidy.benchmarks.index(c.benchmark))


def change_word(found: ResultRow, p: float | None, controls: Sequence[Control], bounds: Bounds | None = None) -> Word:
    """`p` is corrected already. An intervention that only breaks answers has bounds on both sides of 0."""
    if missing(found.value) or p is None or found.low is None or found.high is None:
        return Word.UNMEASURED
    if not (p < CAUSAL_LEVEL and (found.low > 0 or found.high < 0)):
        return Word.NO_EFFECT
    if bounds is not None and not (bounds[0].value > 0 or bounds[1].value < 0):
        return Word.UNREAD
    if not controls:
        return Word.UNCONTROLLED
    return Word.UNSPECIFIC if any(control.as_much for control in controls) else Word.EFFECT


def control_p(value: float, controls: Sequence[float]) -> float | None:
    """Two-sided: twice (1 + controls that change at least as much, or at most) / (1 + controls)."""
    return share_as_far(value, controls) if controls and not missing(value) else None


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
