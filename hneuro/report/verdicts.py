"""Stated rules that turn numbers into plain words. The words follow from the rows, never from hopes.

Detection: the interval of the AUROC lies above 0.5, the neurons beat random ones (interval above the mean of the random
sets, p <= 0.05 among them), and with each of `HELD` fixed that could be the interval lies above 0.5, too. Causal: the
paired change from the lowest to the highest alpha has p < 0.01 after Holm's correction over the benchmarks and an
interval without 0, and neither kind of control does as much: no set of it changes as much in that direction, and the
slope has p <= 0.05 among its slopes. The two arms of the change, from the lowest alpha to 1 and from 1 to the highest,
are told apart by the same rules, without slopes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from hneuro.report.tidy import Tidy
from hneuro.report.wording import READINGS, missing
from hneuro.results import ResultRow
from hneuro.statistics import share_as_far

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
    word: Word
    failed: tuple[str, ...] = ()  # of HELD: with what fixed nothing is left

    @property
    def says(self) -> str:
        """ "above chance and random sets, but not within strata of equal log-probability"."""
        if self.word is not Word.NOT_WITHIN:
            return str(self.word.value)
        return f"above chance and random sets, but not {' and not '.join(HELD[name] for name in self.failed)}"


@dataclass(frozen=True, kw_only=True)
class Control:
    """What the control sets of one kind do to the same reading between the same alphas."""

    kind: str  # "random", "layer_matched"
    changes: tuple[float, ...]  # under each set
    p: float | None  # that a set changes as much, in the direction of the neurons' change
    p_slope: float | None  # that a set is as steep; None for an arm, and where slopes were not compared

    @property
    def as_much(self) -> bool:
        """Whether it explains the change. So few sets that p cannot reach the level must all be less steep."""
        least = 1 / (1 + len(self.changes))
        steep = self.p_slope is not None and not missing(self.p_slope) and self.p_slope > max(SLOPE_LEVEL, least)
        return steep or self.p is None or self.p > least


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A paired change from one alpha to another beside that of the controls, and what it comes to."""

    found: ResultRow
    p_holm: float | None
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
    for dataset in tidy.datasets(stage, "auroc"):
        found = tidy.one(stage, "auroc", dataset, neuron_set)
        if found is None:
            continue
        random = tidy.one(stage, "auroc", dataset, f"{neuron_set}/random")
        at_home = stage == "detection" and dataset == tidy.in_domain
        word, failed = discrimination_word(found, random, at_home), tuple[str, ...]()
        if stage == "detection" and word in (Word.DETECTS, Word.TRANSFERS):
            within = {name: tidy.one(stage, f"auroc_within_{name}", dataset, neuron_set) for name in HELD}
            word, failed = earned(word, within)
        verdicts.append(
            Discrimination(
                dataset=dataset,
                neuron_set=neuron_set,
                found=found,
                random=random,
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
    for moment in (*tidy.moments, BASE):
        found = tidy.at(moment, "auroc", dataset, "h_neurons")
        random = tidy.at(moment, "auroc", dataset, "h_neurons/random")
        told = found is not None and discrimination_word(found, random, at_home=False)
        since = (since or moment) if told in (Word.TRANSFERS, Word.TOO_FEW_SETS) else None
    return since


def discrimination_word(found: ResultRow, random: ResultRow | None, at_home: bool) -> Word:
    """`at_home`: on the model and the set of questions that the probe was made on, where nothing needs to transfer."""
    if missing(found.value) or found.low is None or missing(found.low):
        return Word.NOT_MEASURABLE if found.note else Word.UNMEASURED
    if found.low <= CHANCE:
        return Word.NO_DETECTION if at_home else Word.NO_TRANSFER
    beats_mean = random is None or missing(random.value) or found.low > random.value
    p = 0.0 if found.p_value is None else found.p_value
    if not beats_mean or (p > DETECTION_LEVEL and (random is None or p > 1 / (1 + random.n))):
        return Word.NOT_BETTER
    if p > DETECTION_LEVEL:
        return Word.TOO_FEW_SETS  # none does as well, and more would be needed for a p below the level
    return Word.DETECTS if at_home else Word.TRANSFERS


def changes(tidy: Tidy, neuron_set: str, metric: str) -> list[Change]:
    """One verdict a benchmark; Holm's correction is over the benchmarks of this neuron set and reading."""
    down, up = (_arms(tidy, neuron_set, f"change_{arm}_1_{metric}") for arm in ("to", "from"))
    return [
        Change(
            benchmark=benchmark,
            neuron_set=neuron_set,
            metric=metric,
            found=arm.found,
            p_holm=arm.p_holm,
            kinds=arm.kinds,
            word=arm.word,
            to_one=down.get(benchmark),
            from_one=up.get(benchmark),
        )
        for benchmark, arm in _arms(tidy, neuron_set, f"change_{metric}", f"slope_against_{metric}").items()
    ]


def _arms(tidy: Tidy, neuron_set: str, metric: str, slope: str = "") -> dict[str, Arm]:
    """By benchmark; `slope`: the metric of the rows that set its slope against those of the controls, if any do."""
    rows = [tidy.one("causal", metric, benchmark, neuron_set) for benchmark in tidy.datasets("causal", metric)]
    found = {}
    for row, p in corrected([row for row in rows if row is not None]):
        kinds = tuple(_controls(tidy, row, slope))
        found[row.dataset] = Arm(found=row, p_holm=p, kinds=kinds, word=change_word(row, p, kinds))
    return found


def _controls(tidy: Tidy, row: ResultRow, slope: str) -> Iterator[Control]:
    """The kinds of control that have any value to set beside the row."""
    steep = {r.stratum: r.p_value for r in tidy.rows("causal", slope, row.dataset, row.condition)}
    for condition in tidy.controls("causal", row.dataset, row.condition):
        draws = tidy.draws("causal", row.metric, row.dataset, condition)
        values = tuple(draw.value for draw in draws if not missing(draw.value))
        if values:
            yield Control(
                kind=condition.rpartition("/")[2],
                changes=values,
                p=control_p(row.value, values),
                p_slope=steep.get(condition),
            )


def every_change(tidy: Tidy) -> Iterator[Change]:
    """By neuron set, benchmark and reading."""
    for neuron_set in tidy.neuron_sets:
        found = [c for metric in READINGS for c in changes(tidy, neuron_set, metric)]
        yield from sorted(found, key=lambda c: tidy.benchmarks.index(c.benchmark))


def change_word(found: ResultRow, p: float | None, controls: Sequence[Control]) -> Word:
    """`p` is corrected already."""
    if missing(found.value) or p is None or found.low is None or found.high is None:
        return Word.UNMEASURED
    if not (p < CAUSAL_LEVEL and (found.low > 0 or found.high < 0)):
        return Word.NO_EFFECT
    if not controls:
        return Word.UNCONTROLLED
    return Word.UNSPECIFIC if any(control.as_much for control in controls) else Word.EFFECT


def control_p(value: float, controls: Sequence[float]) -> float | None:
    """(1 + controls that change at least as much in the same direction) / (1 + controls)."""
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


def drift_word(found: ResultRow) -> Word:
    """The row's p is one-sided: H-Neurons changed less than neurons do on average."""
    if missing(found.value) or found.p_value is None:
        return Word.UNMEASURED
    if found.p_value < CAUSAL_LEVEL:
        return Word.CHANGED_LESS
    return Word.CHANGED_MORE if found.p_value > 1 - CAUSAL_LEVEL else Word.NO_DIFFERENCE
