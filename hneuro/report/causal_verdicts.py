"""Stated rules that turn the changes of an alpha sweep into plain words; the page spells them out (report.html.jinja).

What the controls do can only take an effect away, so that their p need no correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CAUSAL_LEVEL, Family, Word, family_of, size_of
from hneuro.report.wording import READINGS, missing
from hneuro.result_records import ResultRow
from hneuro.significance import share_as_far

SLOPE_LEVEL = 0.05  # of each kind of control
ARMS = {"up to alpha 1": "to_1_", "beyond alpha 1": "from_1_"}  # suppression, with its sign turned; amplification

Bounds = tuple[ResultRow, ResultRow]  # of a change: the least and the most that the unread can make of it


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
class Change:
    """What scaling a neuron set from one alpha to another did to a reading of a benchmark, and the verdict."""

    found: ResultRow
    metric: str  # one of `hneuro.report.wording.READINGS`
    p_holm: float | None
    tests: int  # that it is corrected for
    bounds: Bounds | None  # None where everything has a value, as a probability
    kinds: tuple[Control, ...]
    word: Word
    arms: Mapping[str, Change] = field(default_factory=dict)  # of a change over the whole grid, by the words of `ARMS`

    @property
    def benchmark(self) -> str:
        return self.found.dataset

    @property
    def neuron_set(self) -> str:
        return self.found.condition

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


def changes(tidy: Tidy, neuron_set: str, metric: str) -> list[Change]:
    """One verdict a benchmark; Holm's correction is over all changes of the page, whatever is asked for here."""
    family = _every_test(tidy)
    arms = {told: list(_tested(tidy, family, neuron_set, metric, arm)) for told, arm in ARMS.items()}
    return [
        replace(
            whole, arms={told: arm for told, own in arms.items() for arm in own if arm.benchmark == whole.benchmark}
        )
        for whole in _tested(tidy, family, neuron_set, metric, "", f"slope_against_{metric}")
    ]


def _every_test(tidy: Tidy) -> Family:
    """Every change of every reading, set and benchmark, and its arms."""
    metrics = [f"change_{arm}{reading}" for reading in READINGS for arm in ("", *ARMS.values())]
    rows = (
        tidy.one("causal", metric, benchmark, neuron_set)
        for metric in metrics
        for benchmark in tidy.datasets("causal", metric)
        for neuron_set in tidy.neuron_sets
    )
    return family_of([row for row in rows if row is not None])


def _tested(tidy: Tidy, family: Family, neuron_set: str, reading: str, arm: str, slope: str = "") -> Iterator[Change]:
    """A benchmark each; `slope`: the metric of the rows that set its slope against those of the controls, if any do."""
    metric = f"change_{arm}{reading}"
    for benchmark in tidy.datasets("causal", metric):
        row = tidy.one("causal", metric, benchmark, neuron_set)
        if row is None:
            continue
        p, kinds = family[metric, benchmark, neuron_set], tuple(_controls(tidy, row, slope))
        low, high = (tidy.one("causal", f"{metric}_{end}", benchmark, neuron_set) for end in ("low", "high"))
        bounds = None if low is None or high is None else (low, high)
        word = change_word(row, p, kinds, bounds)
        yield Change(found=row, metric=reading, p_holm=p, tests=size_of(family), bounds=bounds, kinds=kinds, word=word)


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
    if not (found.low > 0 or found.high < 0):
        return Word.NO_EFFECT
    if bounds is not None and not (bounds[0].value > 0 or bounds[1].value < 0):
        return Word.UNREAD
    if p >= CAUSAL_LEVEL:
        return Word.NOT_CORRECTED
    if not controls:
        return Word.UNCONTROLLED
    return Word.UNSPECIFIC if any(control.as_much for control in controls) else Word.EFFECT


def control_p(value: float, controls: Sequence[float]) -> float | None:
    """Two-sided: twice (1 + controls that change at least as much, or at most) / (1 + controls)."""
    return share_as_far(value, controls) if controls and not missing(value) else None
