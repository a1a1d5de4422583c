"""Selection and detection once more, with labels that chance gave: what they find then, noise has as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hneuro.detection.evaluate import neuron_detector
from hneuro.probe.choice import Choice, Sparsest, choose
from hneuro.probe.labeling import Labeling, believed, permuted
from hneuro.probe.selectors import Selector
from hneuro.result_records import ResultRow
from hneuro.significance import share_at_least
from hneuro.stage import Shards, sharded
from hneuro.statistics import auroc_in_closed_form
from hneuro.steps.answers import Identified
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers

STAGE = "permuted"
METRICS = ("neurons", "select_auroc", "auroc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What selection and detection came to."""

    neurons: int
    select_auroc: float  # of the chosen probe
    auroc: float  # of the detector on held-out answers


def permutations(run: Context, identified: Identified, held_out: Sequence[Answers]) -> tuple[ResultRow, ...]:
    """`METRICS` of the run ("h_neurons") and under each permutation ("h_neurons/permuted"), p one-sided, with the +1.

    Labels are permuted in every split, so that the probe, its choice and the test all see a world without a signal. A
    choice that asks the model under suppression is made by its accuracy on the select split alone, for the run's own
    labels too: nothing is generated here. Nothing without `stability.permuted`.
    """
    setup = run.experiment
    count = setup.stability.permuted
    tested = next((a for a in held_out if a.name == setup.identification.name and a.labelled), None)
    if not count or tested is None:
        return ()
    own, *null = permuted_runs(
        run.store, setup.probe, setup.choice, setup.labeling, (identified.fit, identified.select, tested), count,
        setup.seed,
    ).value  # fmt: skip
    rows = []
    for metric in METRICS:
        drawn = [float(getattr(found, metric)) for found in null]
        value = float(getattr(own, metric))
        of = ResultRow(stage=STAGE, metric=metric, dataset=tested.name, condition="h_neurons", value=value)
        rows.append(replace(of, n=len(tested.labelled), p_value=share_at_least(value, drawn)))
        rows += [replace(of, condition="h_neurons/permuted", value=v, seed=n) for n, v in enumerate(drawn)]
    return tuple(rows)


@sharded(Found, version=1, name=STAGE)
def permuted_runs(
    selector: Selector, choice: Choice, labeling: Labeling, splits: Sequence[Answers], count: int, seed: int
) -> Shards[Found]:
    if choice.suppresses:
        choice = Sparsest(metric="accuracy", tolerance=0.0)

    def work(draw: int) -> Sequence[Found]:
        """0 is the run itself."""
        parts = splits if draw == 0 else [replace(s, labelled=permuted(s.labelled, draw)) for s in splits]
        return [_found(selector, choice, labeling, seed, *parts)]

    return Shards(range(count + 1), work)


def _found(
    selector: Selector, choice: Choice, labeling: Labeling, seed: int, fit: Answers, select: Answers, tested: Answers
) -> Found:
    path = selector.path(labeling.rows(fit.found, fit.labelled), seed)
    if not any(probe.positive for probe in path):
        return Found(neurons=0, select_auroc=0.5, auroc=0.5)
    on_fit, on_select = (believed(labeling, part.rows()) for part in (fit, select))
    probe, points = choose(path, on_fit, on_select, choice)
    detector = neuron_detector(probe.positive, fit.answer_set(), select.answer_set())
    rows = tested.rows()
    return Found(
        neurons=len(probe.positive),
        select_auroc=next(point.auroc for point in points if point.chosen),
        auroc=auroc_in_closed_form(rows.y, detector.scores_of(rows), rows.groups).value,
    )
