"""The method as a table of contents: one call a step."""

from __future__ import annotations

from hneuro.experiment import Experiment, Stage
from hneuro.probe.choice import choose, h_neurons
from hneuro.probe.labeling import believed
from hneuro.result_records import Results
from hneuro.steps import answers, checks, early, reading, selection, trials
from hneuro.steps.calibration import calibration
from hneuro.steps.context import Context
from hneuro.steps.early import Parts
from hneuro.steps.mechanism import mechanism
from hneuro.steps.origin import origin
from hneuro.steps.stability import permutations, stability
from hneuro.store import Store
from hneuro.verdicts.agreement import agreements, disagreements, frequent_texts


def run_until(experiment: Experiment, store: Store, stage: Stage) -> str:
    """The first stages on all sets, up to and with `stage`. What is in the store then, for people."""
    this, parts, others = begin(experiment, store)
    return early.until(this, stage, parts, others)


def begin(experiment: Experiment, store: Store) -> tuple[Context, Parts, Parts]:
    """Questions, split by entity before anything is sampled: the identification set in its parts, the others by name.

    What can be known to fail is refused here.
    """
    this = Context(experiment, store)
    parts, others = answers.load_questions(this)
    checks.check_questions(this, [q for part in (parts, others) for questions in part.values() for q in questions])
    checks.check_engine(this)
    checks.check_origin(this)
    checks.check_benchmarks(this, parts)
    return this, parts, others


def run(experiment: Experiment, store: Store) -> Results:
    """The whole method on one experiment: from questions to the results that a report is made from."""
    this, parts, others = begin(experiment, store)
    early.sample_ahead(this, parts, others)
    checks.check_neurons(this)

    # Samples, judged; the consistent ones, with their answer tokens and contributions (sections 2.1, 2.2).
    identified = answers.identify(this, this.chat, parts["fit"], parts["select"])
    fit, select = identified.fit, identified.select

    # The H-Neurons: the positive weights of a sparse probe (section 2.3).
    probes = selection.probe_path(this, fit, experiment.labeling)
    suppressed = selection.suppressed_accuracy(this, probes, identified.known)
    on_fit, on_select = (believed(experiment.labeling, part.rows()) for part in (fit, select))
    probe, path = choose(probes, on_fit, on_select, experiment.choice, suppressed)
    neurons = h_neurons(probe, experiment.probe.name)
    detector = selection.trained_detector(this, neurons, identified)
    stable = stability(this, probes, probe.strength, neurons, fit)

    # Do they detect hallucination on other questions, better than random neurons do? (section 2.4)
    held_out = answers.evaluation_sets(this, this.chat, parts["report"], others)
    detected = trials.detection(this, probe, neurons, detector, identified, held_out)
    calibrated, kept = calibration(this, detector, identified, held_out[0], parts["report"])

    chance = permutations(this, identified, held_out)

    # Is it more than the model's doubts and the frequency of what is asked, and are the neurons the same elsewhere?
    explained = mechanism(this, probe, neurons, detector, held_out)

    # Does scaling them change compliance, more than scaling random neurons does? (section 3)
    caused = trials.causal(this, probe, neurons, detector, identified, parts)

    # Were they there before instruction tuning, and since when? (section 4)
    traced = origin(this, probe, neurons, detector, identified, parts, others)

    return Results(
        title=f"{experiment.model.name} on {experiment.dataset}",
        facts=reading.facts_of(this, neurons, path),
        rows=(*detected, *calibrated, *chance, *explained, *caused, *traced.rows),
        funnel=tuple(this.funnel),
        path=path,
        neurons=selection.neuron_table(this, probes, neurons, identified, stable, traced.ranks, traced.own),
        neurons_by_layer=selection.by_layer(neurons),
        stability=stable,
        responses=reading.coloured(this, detector, held_out),
        data=this.data,
        agreements=agreements(this.judged),
        disagreements=disagreements(this.judged),
        frequent=frequent_texts(this.judged),
        space=neurons.space,
        neuron_sets=selection.neuron_sets(this, neurons, fit),
        detector=detector,
        calibration=kept,
    )
