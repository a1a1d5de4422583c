"""Which neurons an edit scales: those of a finished run, or of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hneuro.config import saved_experiment
from hneuro.disk import read_text
from hneuro.experiment import Experiment
from hneuro.models.patch import Patch, read_patch
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError
from hneuro.result_records import Results
from hneuro.runs import finished_results
from hneuro.states import WRITTEN, State, check_as_written, read_state

Pairs = list[tuple[int, int]]
TUNED = "tuned"  # folder of a run that has what `hneuro tune` made, and the name of its neurons
GAINS = "gains.json"


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run's folder: what was run, on which weights, and what it found."""

    folder: Path
    experiment: Experiment
    results: Results
    weights: str  # identity of the chat model


@dataclass(frozen=True, kw_only=True)
class Activity:
    """How active neurons are in the answers that the run's probe was fitted to: means over those that the run knows."""

    hallucinated: float  # mean CETT
    faithful: float
    higher: int  # neurons that are more active in hallucinated answers
    known: int
    neurons: int


def finished_run(folder: Path) -> FinishedRun:
    """`UserError` where the run is not there, not finished, or of a model that was patched when it was loaded."""
    found = read_state(folder)
    if found.state is State.MISSING:
        raise UserError(f"{folder} is not a run of hneuro: it has no status.json; name the folder of a finished run")
    if found.state is not State.DONE:
        reason = f" ({found.reason})" if found.reason else ""
        raise UserError(f"{folder} is not finished: it is {found.state.value}{reason}; run its command again")
    if until := found.until:
        raise UserError(f"{folder} stopped after {until}, before any neuron was found: run it without until={until}")
    for name in WRITTEN:
        check_as_written(folder / name)
    results, card = (
        finished_results(folder),
        _json(folder / "run_card.json", f"{folder} is not a finished run: run its command again"),
    )
    experiment = saved_experiment(folder / "config.yaml")
    if experiment.model.patch is not None:
        raise UserError(
            f"{folder} is the run of a model with a patch ({experiment.model.patch}): write the patched model as a "
            "checkpoint first, and run on that"
        )
    if not isinstance(card, Mapping) or "chat" not in card:
        raise UserError(f"{folder / 'run_card.json'} does not say on which weights the run was: run its command again")
    return FinishedRun(folder=folder, experiment=experiment, results=results, weights=str(card["chat"]))


def patch_of_run(run: FinishedRun, name: str, alpha: float) -> Patch:
    """Of a neuron set that the run knows: "h_neurons", or "ranked"."""
    results = run.results
    assert results.space is not None
    if name not in results.neuron_sets:
        known = ", ".join(results.neuron_sets)
        raise UserError(
            f"--neurons {name}: there is no such file, and the run has no such set; it has {known} "
            "(intervention.ranked=COUNT gives it ranked ones)"
        )
    if not results.neuron_sets[name]:
        raise UserError(f"{run.folder} found no {name}: there is nothing to edit")
    return Patch(
        neurons=tuple(sorted(set(results.neuron_sets[name]))),
        alpha=alpha,
        space=results.space,
        weights=run.weights,
        note=f"{name} of the run {run.folder.resolve().name}",
    )


def tuned_patch(run: FinishedRun) -> Patch:
    """The gains that `hneuro tune` has learned for the run; `UserError` where there are none, or all of them are 1."""
    folder = run.folder / TUNED
    if not (folder / GAINS).is_file():
        raise UserError(f"{folder} has no {GAINS}: hneuro tune {run.folder} learns them")
    patch = read_patch(folder / GAINS)
    if set(patch.gains) <= {1.0}:
        raise UserError(f"{folder / GAINS}: all gains are 1, because none met the budget: there is nothing to edit")
    return patch


def activity_of(run: FinishedRun | None, neurons: Sequence[int]) -> Activity | None:
    """As the run has measured it, which keeps that of its H-Neurons; None where it knows none of them."""
    if run is None or (space := run.results.space) is None:
        return None
    rows = {(row.layer, row.expert, row.index): row for row in run.results.neurons}
    found = [rows[place] for neuron in neurons if neuron < space.size and (place := space.address(neuron)) in rows]
    if not found:
        return None
    return Activity(
        hallucinated=fmean(row.cett_wrong for row in found),
        faithful=fmean(row.cett_right for row in found),
        higher=sum(row.cett_wrong > row.cett_right for row in found),
        known=len(found),
        neurons=len(neurons),
    )


def patch_of_file(file: Path, alpha: float, space: NeuronSpace, weights: str) -> Patch:
    """Of the neurons of a patch, or of a JSON list of [layer, index] pairs, taken to be of the model at hand."""
    found = _json(file, f"{file} cannot be read")
    if isinstance(found, Mapping):
        patch = read_patch(file)
        if patch.gains:
            raise UserError(
                f"{file} has a gain for each neuron, which --alpha would overrule: --neurons tuned takes those of a run"
            )
        return replace(patch, alpha=alpha, note=f"the patch {file}")
    try:
        pairs = TypeAdapter(Pairs).validate_python(found, strict=False)
        neurons = {space.flat(layer, index) for layer, index in pairs}
    except ValidationError as fault:
        raise UserError(f"{file} is neither a patch of hneuro nor a list of [layer, index] pairs") from fault
    except IndexError as fault:
        raise UserError(f"{file} is for another model: {fault}") from fault
    return Patch(neurons=tuple(sorted(neurons)), alpha=alpha, space=space, weights=weights, note=f"the list {file}")


def _json(file: Path, otherwise: str) -> Any:
    try:
        return json.loads(read_text(file))
    except (OSError, ValueError, RecursionError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else f"it is no JSON: {fault}"
        raise UserError(f"{otherwise}: {file.name}, {reason}") from fault
