"""The method as a table of contents: one call a step."""

from __future__ import annotations

from itertools import chain

from hneuro.experiment import Experiment, Stage
from hneuro.pipeline import answers, checks, early, reading, selection
from hneuro.pipeline.calibration import calibration
from hneuro.pipeline.causal import causal
from hneuro.pipeline.detection import detection
from hneuro.pipeline.effects import learnt, tells_and_does
from hneuro.pipeline.mechanism import mechanism
from hneuro.pipeline.origin import origin
from hneuro.pipeline.run import Run
from hneuro.pipeline.stability import permutations, stability
from hneuro.probe.choice import h_neurons
from hneuro.progress import ANSWERS, BASE_MODEL, CAUSE, DETECTION, MECHANISM, NEURONS, step
from hneuro.result_records import Results
from hneuro.store import Store
from hneuro.verdicts.agreement import agreements, disagreements, frequent_texts


def run_until(experiment: Experiment, store: Store, stage: Stage) -> str:
    """The first stages on all sets, up to and with `stage`. What is in the store then, for people."""
    return early.until(begin(experiment, store), stage)


def begin(experiment: Experiment, store: Store) -> Run:
    """Questions, split before anything is sampled. What can be known to fail is refused here."""
    this = Run.of(experiment, store)
    checks.check_questions(this)
    checks.check_engine(this)
    checks.check_origin(this)
    checks.check_benchmarks(this)
    return this


def run(experiment: Experiment, store: Store) -> Results:
    """The whole method on one experiment: from questions to the results that a report is made from."""
    # Samples, judged; the consistent ones, with their answer tokens and contributions (sections 2.1, 2.2).
    step(ANSWERS)
    this = begin(experiment, store)
    early.sample_ahead(this)
    checks.check_neurons(this)
    identified = answers.identify(this)
    fit, learns = identified.fit, learnt(this, identified)

    # The H-Neurons: the positive weights of a sparse probe (section 2.3).
    step(NEURONS)
    probes, probe, path = selection.chosen_probe(this, learns, identified)
    neurons = h_neurons(probe, experiment.probe.name)
    detector = selection.trained_detector(this, neurons, identified)
    stable = stability(this, probes, probe.strength, neurons, learns)

    # Do they detect hallucination on other questions, better than random neurons do? (section 2.4)
    step(DETECTION)
    held_out = answers.evaluation_sets(this, this.chat)
    detected = detection(this, probe, neurons, detector, identified, held_out)
    calibrated, kept, not_located = calibration(this, detector, identified, held_out[0])
    chance = permutations(this, identified, held_out, learns)

    # Is it more than the model's doubts and the frequency of what is asked, and are the neurons the same elsewhere?
    step(MECHANISM)
    explained, uncounted = mechanism(this, probe, neurons, detector, held_out)

    # Does scaling them change compliance, more than scaling random neurons does? (section 3)
    step(CAUSE)
    caused, unknown = causal(this, probe, neurons, identified)

    # Were they there before instruction tuning, and since when? (section 4)
    step(BASE_MODEL)
    traced = origin(this, probe, neurons, detector, identified)

    trails = (identified.trail, *(answers.trail for answers in held_out), traced.trail)
    judged = [one for trail in trails for one in trail.judged]
    *found, of_base = (trail.funnel for trail in trails)
    return Results(
        title=f"{experiment.model.name} on {experiment.dataset}",
        facts=reading.facts_of(this, neurons, path, judged),
        rows=(*detected, *calibrated, *chance, *explained, *caused, *traced.rows),
        funnel=(*this.asked.funnel, *chain(*found), *not_located, *uncounted, *unknown, *of_base),
        path=path,
        neurons=selection.neuron_table(this, probes, neurons, identified, stable, traced.ranks, traced.own),
        neurons_by_layer=neurons.in_layers,
        stability=stable,
        responses=reading.coloured(this, detector, held_out),
        data=this.asked.origins,
        agreements=agreements(judged),
        disagreements=disagreements(judged),
        frequent=frequent_texts(judged),
        space=neurons.space,
        neuron_sets=selection.neuron_sets(this, neurons, fit),
        detector=detector,
        fit_answers=selection.read_answers(neurons, fit),
        calibration=kept,
        tells_and_does=tells_and_does(this, identified, held_out, probes, probe),
    )
