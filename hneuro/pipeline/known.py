"""The benchmarks of a run as this model is asked them: those about known facts need its facts, and a framing each.

A framing that a model always gives in to, or never, leaves nothing to move. So each is put to the untouched model,
about facts of the select part; the one nearest to 50 % compliance is asked about facts of the report part, by which
nothing was chosen. What is planted answers questions of the same part, so that no value is met in two.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from random import Random

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.benchmarks.known import KnownBenchmark, known_facts
from hneuro.causal.curves import kinds_of, shares
from hneuro.causal.grid import UNTOUCHED, NeuronSet
from hneuro.causal.values import Values
from hneuro.pipeline import answers
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.run import Run
from hneuro.pipeline.sweeps import alpha_sweep
from hneuro.questions.splits import in_turn
from hneuro.records import Fact, Outcome, Question, Reading
from hneuro.result_records import Estimate, FunnelStep, ResultRow
from hneuro.statistics import rate

FRAMING = "framing"  # the stage of its rows
UNEDITED = NeuronSet(name=UNTOUCHED, seed=0, neurons=(), alphas=(1.0,))
MIDDLE = 0.5
ENDS = {
    0.0: "; the untouched model never complies: suppressing cannot lower that",
    1.0: "; the untouched model always complies: amplifying cannot raise that",
}


def about_facts(run: Run) -> dict[str, KnownBenchmark]:
    """The benchmarks of the config that are asked about what the model knows."""
    return {name: part for name, part in run.experiment.benchmarks.items() if isinstance(part, KnownBenchmark)}


def benchmarks_of(
    run: Run, identified: Identified
) -> tuple[list[Benchmark], tuple[ResultRow, ...], tuple[FunnelStep, ...]]:
    """All benchmarks, accuracy on known facts after them; the untouched compliance in every framing; what was lost."""
    setup, parts = run.experiment, run.asked.parts
    lost: tuple[FunnelStep, ...] = ()
    found: list[Benchmark] = []
    rows: list[ResultRow] = []
    known: Sequence[Question] = identified.known
    if about_facts(run):
        named = Values.of([question for part in parts.values() for question in part])
        planted = {name: Values.of(part) for name, part in parts.items()}
        held_out = answers.held_out_facts(run)
        select, of_select = _chosen(run, "select", identified.facts, planted["select"])
        report, of_report = _chosen(run, "report", held_out, planted["report"])
        lost = (of_select, of_report)
        known = [fact.question for fact in held_out[: setup.intervention.known_questions]] or known
    for benchmark in setup.benchmarks.values():
        if isinstance(benchmark, KnownBenchmark):
            framing, told = _framing(run, benchmark, select, planted["select"], named)
            rows += told
            if report:
                suffix = setup.model.prompting.suffix
                found.append(benchmark.asked(framing, report, planted["report"], named, suffix))
        else:
            found.append(benchmark)
    if known:
        found.append(known_facts(known, setup.judge, setup.model.prompting.suffix, setup.answer_tokens))
    return found, tuple(rows), lost


def _chosen(run: Run, name: str, facts: Sequence[Fact], values: Values) -> tuple[tuple[Fact, ...], FunnelStep]:
    """As many facts as the sweep has items, of as many groups as there are; the funnel says where others went."""
    part, usable = run.asked.parts[name], values.askable(facts)
    about = {fact.question.id for fact in usable}
    drawn = [q.id for q in in_turn(part, run.experiment.seed) if q.id in about]
    chosen = set(drawn[: run.experiment.intervention.items])
    kept = tuple(fact for fact in usable if fact.question.id in chosen)
    lost = {
        "not right in every sample": len(part) - len(facts),
        "no wrong value to plant, or the right one in the question": len(facts) - len(usable),
        "over intervention.items": len(usable) - len(kept),
    }
    return kept, FunnelStep(
        stage="known facts",
        dataset=name,
        unit="questions",
        entered=len(part),
        left=len(kept),
        lost={reason: count for reason, count in lost.items() if count},
        note="" if kept else "no fact to ask about",
    )


def _framing(
    run: Run, benchmark: KnownBenchmark, facts: Sequence[Fact], planted: Values, named: Values
) -> tuple[str, list[ResultRow]]:
    """The framing whose untouched compliance is nearest to the middle, the first of equals; and the rates of all."""
    # Each is little work: processes that share the run do best not to ask them in the same order.
    order = Random(os.getpid()).sample(list(benchmark.framings), len(benchmark.framings))
    read = {framing: _untouched(run, benchmark, framing, facts, planted, named) for framing in order}
    rates = {framing: _compliance(read[framing]) for framing in benchmark.framings}
    chosen = min(rates, key=lambda framing: abs(rates[framing].value - MIDDLE) if rates[framing].n else MIDDLE)
    kinds = kinds_of(reading for readings in read.values() for reading in readings)
    rows = []
    for framing, estimate in rates.items():
        note = f"chosen{ENDS.get(estimate.value, '')}" if framing == chosen else ""
        for metric, share in (("compliance", estimate), *shares(read[framing], kinds)):
            rows.append(
                ResultRow.of(
                    share,
                    stage=FRAMING,
                    metric=metric,
                    dataset=benchmark.name,
                    condition=framing,
                    alpha=1.0,
                    note=note if metric == "compliance" else "",
                )
            )
    return chosen, rows


def _untouched(
    run: Run, benchmark: KnownBenchmark, framing: str, facts: Sequence[Fact], planted: Values, named: Values
) -> Sequence[Reading]:
    if not facts:
        return ()
    suffix, name = run.experiment.model.prompting.suffix, f"{benchmark.name}_{framing}"
    asked = benchmark.asked(framing, facts, planted, named, suffix, name)
    return alpha_sweep(run, asked, [UNEDITED]).readings.value


def _compliance(readings: Sequence[Reading]) -> Estimate:
    return rate(sum(reading.outcome is Outcome.COMPLIES for reading in readings), len(readings))
