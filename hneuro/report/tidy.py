"""Finding rows among the tidy rows of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from math import hypot
from statistics import fmean

from hneuro.report.wording import COSTS, READINGS, missing
from hneuro.result_records import ResultRow, Results


class Tidy:
    """The rows of a run, looked up by (stage, metric, dataset, condition)."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._found: dict[tuple[str, str, str, str], list[ResultRow]] = {}
        for row in results.rows:
            self._found.setdefault((row.stage, row.metric, row.dataset, row.condition), []).append(row)

    def rows(self, stage: str, metric: str, dataset: str, condition: str) -> Sequence[ResultRow]:
        return self._found.get((stage, metric, dataset, condition), [])

    def one(self, stage: str, metric: str, dataset: str, condition: str) -> ResultRow | None:
        """The row of the set itself, or the summary over the seeds of a control."""
        own = [r for r in self.rows(stage, metric, dataset, condition) if r.seed is None and r.alpha is None]
        return own[0] if own else None

    def draws(self, stage: str, metric: str, dataset: str, condition: str) -> list[ResultRow]:
        """The rows of a control, one a seed."""
        return [r for r in self.rows(stage, metric, dataset, condition) if r.seed is not None and r.alpha is None]

    def curve(self, metric: str, dataset: str, condition: str, seed: int | None) -> list[ResultRow]:
        """The rows of one neuron set over alpha, ascending."""
        rows = self.rows("causal", metric, dataset, condition)
        return sorted(
            (r for r in rows if r.seed == seed and r.alpha is not None), key=lambda r: r.alpha if r.alpha else 0.0
        )

    def seeds(self, metric: str, dataset: str, condition: str) -> list[int]:
        return sorted({r.seed for r in self.rows("causal", metric, dataset, condition) if r.seed is not None})

    def datasets(self, stage: str, metric: str) -> list[str]:
        """In the order of the rows."""
        return list(dict.fromkeys(dataset for s, m, dataset, _ in self._found if (s, m) == (stage, metric)))

    def conditions(self, stage: str, metric: str) -> list[str]:
        """Neuron sets first, each followed by its controls, then everything else in the order of the rows."""
        found = list(dict.fromkeys(c for s, m, _, c in self._found if (s, m) == (stage, metric)))
        sets = [c for c in found if c in self.neuron_sets]
        grouped = [c for s in sets for c in (s, *(f for f in found if f.startswith(f"{s}/")))]
        return [*grouped, *(c for c in found if c not in grouped)]

    def controls(self, stage: str, dataset: str, neuron_set: str) -> list[str]:
        """Conditions that control for `neuron_set`."""
        return list(
            dict.fromkeys(
                c for s, _, d, c in self._found if (s, d) == (stage, dataset) and c.startswith(f"{neuron_set}/")
            )
        )

    @cached_property
    def neuron_sets(self) -> list[str]:
        """ "h_neurons" first, then others that were scaled or that have controls: not the probe, nor baselines."""
        scaled = [c.partition("/")[0] for stage, _, _, c in self._found if stage == "causal"]
        controlled = [c.partition("/")[0] for _, _, _, c in self._found if "/" in c]
        own = [c for _, _, _, c in self._found if c == "h_neurons"]
        return [name for name in dict.fromkeys([*own, *scaled, *controlled]) if "@" not in name]

    def variants(self, neuron_set: str) -> list[str]:
        """Other interventions on the same neurons, as conditions."""
        found = (c for stage, _, _, c in self._found if stage == "causal" and c.startswith(f"{neuron_set}@"))
        return list(dict.fromkeys(found))

    def notes(self, stage: str) -> list[str]:
        """What a stage says about its data sets: notes of rows that are not a control's, each once."""
        rows = (r for r in self.results.rows if r.stage == stage and "/" not in r.condition)
        return list(dict.fromkeys(r.note for r in rows if r.note))

    @cached_property
    def in_domain(self) -> str | None:
        """The set that the probe was made on: the first that the funnel names, or the first detection row's."""
        if self.results.funnel:
            return self.results.funnel[0].dataset
        tested = self.datasets("detection", "auroc")
        return tested[0] if tested else None

    @cached_property
    def moments(self) -> list[str]:
        """Checkpoints on the way to the base model, earliest first."""
        return list(dict.fromkeys(row.stratum for row in self.results.rows if row.stage == "moments"))

    def at(self, moment: str, metric: str, dataset: str, condition: str) -> ResultRow | None:
        """The row of a checkpoint; that of the base model under a name that no checkpoint has."""
        if moment not in self.moments:
            return self.one("origin", metric, dataset, condition)
        rows = self.rows("moments", metric, dataset, condition)
        return next((row for row in rows if row.stratum == moment), None)

    def readings(self, benchmark: str) -> list[str]:
        """The ways in which a benchmark was read that exist."""
        return [metric for metric in READINGS if benchmark in self.datasets("causal", metric)]

    @cached_property
    def benchmarks(self) -> list[str]:
        """Compliance benchmarks in the order of the rows, the capability after them."""
        return list(dict.fromkeys(d for m in ("compliance", *COSTS) for d in self.datasets("causal", m)))


def independent_mean(rows: Sequence[ResultRow]) -> ResultRow:
    """The unweighted mean of independent rows; the distances to their bounds add up as squares on either side."""
    value, count = fmean(row.value for row in rows), len(rows)
    below = [row.value - row.low for row in rows if row.low is not None and not missing(row.low)]
    above = [row.high - row.value for row in rows if row.high is not None and not missing(row.high)]
    known = len(below) == len(above) == count
    low, high = (value - hypot(*below) / count, value + hypot(*above) / count) if known else (None, None)
    return replace(rows[0], value=value, low=low, high=high, n=sum(row.n for row in rows))
