"""Runs of 3 models x 3 data sets x 2 labelings whose every number is plain arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from hneuro.codec import to_plain
from hneuro.neurons import NeuronSpace
from hneuro.report.compared import Compared
from hneuro.report.folders import read_runs
from hneuro.report.page import Summary, write_summary
from hneuro.report.published import read_published
from hneuro.result_records import FunnelStep, NeuronRow, PathPoint, ResultRow, Results

MODELS = ("Gemma-3-4B", "Llama-3.1-8B", "Mistral-7B-v0.3")
SETS = ("bioasq", "nq_open", "triviaqa")
LABELINGS = ("1-vs-1", "3-vs-1")
ALPHAS = (0.0, 1.0, 3.0)
SIZE = 4000
HOSTILE = "<script>alert(1)</script>"


def own(model: str, found: str, tested: str, labeling: str) -> float:
    """The accuracy of the H-Neurons; every cell of the grid has its own."""
    places = MODELS.index(model), SETS.index(found), SETS.index(tested), LABELINGS.index(labeling)
    return 0.6 + 0.1 * places[0] + 0.03 * places[1] + 0.01 * places[2] + 0.001 * places[3]


def row(stage: str, metric: str, dataset: str, condition: str, value: float, **more: Any) -> ResultRow:
    """With an interval of two points on either side, unless told otherwise."""
    given = {"low": value - 0.02, "high": value + 0.02, "n": 400, **more}
    return ResultRow(stage=stage, metric=metric, dataset=dataset, condition=condition, value=value, **given)


def rows(model: str, found: str, labeling: str) -> Iterator[ResultRow]:
    for tested in (found, *(name for name in SETS if name != found)):
        value = own(model, found, tested, labeling)
        for metric, shift in (("accuracy", 0.0), ("auroc", 0.05)):
            yield row("detection", metric, tested, "h_neurons", value + shift)
            yield row("detection", metric, tested, "h_neurons/random", 0.52, n=20)
            yield row("detection", metric, tested, "h_neurons/random", 0.51, seed=0)
            yield row("detection", metric, tested, "logprob", 0.9)
        yield row("origin", "auroc", tested, "h_neurons", value - 0.1)
        yield row("origin", "auroc", tested, "h_neurons/random", 0.5, n=20)
    yield row("origin", "drift_rank", "parameters", "h_neurons", 0.7, n=2, p_value=0.004)
    for benchmark, first, slope in (("faitheval_context", "compliance", 0.04), ("known_facts", "accuracy", -0.01)):
        slope += 0.01 * MODELS.index(model)
        for alpha in ALPHAS:
            yield row("causal", first, benchmark, "h_neurons", 0.4 + slope * alpha, alpha=alpha, n=100)
            yield row("causal", first, benchmark, "h_neurons/random", 0.4, alpha=alpha, seed=0, n=100)
        yield row("causal", f"slope_{first}", benchmark, "h_neurons", slope, n=100)
        yield row("causal", f"change_{first}", benchmark, "h_neurons", 3 * slope, n=100, p_value=1e-4)
        yield row("causal", f"change_{first}", benchmark, "h_neurons/random", 0.01, n=100, seed=0, p_value=0.5)


def neuron(rank: int) -> NeuronRow:
    return NeuronRow(rank=rank, layer=1, index=rank, weight=1.0, auroc=0.7, cett_wrong=0.1, cett_right=0.05,
                     path=(0.0, 1.0), frequency=None, partners=0, cluster=None, drift_rank=0.7)  # fmt: skip


def results(model: str, found: str, labeling: str) -> Results:
    points = (("0.3", 0.695, False), ("1", 0.765, True))
    return Results(
        title=f"{model} on {found}",
        facts={"model": model, "hneuro": "0.1.0"},
        rows=tuple(rows(model, found, labeling)),
        funnel=(FunnelStep(stage="questions", dataset=found, unit="questions", entered=9, left=9),),
        path=tuple(
            PathPoint(strength=float(c), nonzero=4, positive=2, fit_accuracy=0.8, accuracy=right, auroc=right + 0.05,
                      suppressed_accuracy=0.9, gap=1e-6, chosen=chosen, n=400, accuracy_low=right - 0.04,
                      accuracy_high=right + 0.04, auroc_low=right, auroc_high=right + 0.1)
            for c, right, chosen in points
        ),
        neurons=(neuron(1), neuron(2)), neurons_by_layer=(0, 2), stability=None, responses=(),
        space=NeuronSpace(n_layers=1, width=SIZE),
    )  # fmt: skip


def config(model: str, found: str, labeling: str) -> dict[str, Any]:
    return {
        "name": "grid", "seed": 0, "quiet": True, "output_dir": "anywhere",
        "model": {"name": model, "chat": {"path": f"hub/{model}"}},
        "dataset": {"name": found, "evaluation": {}},
        "labeling": {"name": labeling}, "probe": {"name": "l1", "C": [0.3, 1.0]}, "choice": {"name": "paper"},
        "tracker": {"group": "grid"},
    }  # fmt: skip


Write = Callable[..., Path]


def write_run(
    folder: Path, model: str = MODELS[0], found: str = SETS[0], labeling: str = LABELINGS[0],
    changed: Mapping[str, Any] | None = None, made: Results | None = None,
) -> Path:  # fmt: skip
    """A run folder that is done. `changed`: keys of the config that are otherwise, dotted."""
    folder.mkdir(parents=True)
    said = config(model, found, labeling)
    for key, value in (changed or {}).items():
        *groups, last = key.split(".")
        node = said
        for group in groups:
            node = node.setdefault(group, {})
        node[last] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(said))
    (folder / "status.json").write_text('{"state": "done"}')
    (folder / "results.json").write_text(json.dumps(to_plain(made or results(model, found, labeling))))
    return folder


@pytest.fixture(scope="session")
def write() -> Write:
    return write_run


@pytest.fixture(scope="session")
def grid_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "grid"
    for number, (model, found, labeling) in enumerate(product(MODELS, SETS, LABELINGS)):
        write_run(folder / f"run{number:02}", model, found, labeling)
    return folder


@pytest.fixture(scope="session")
def grid(grid_folder: Path) -> Compared:
    return Compared(read_runs([grid_folder]))


@pytest.fixture(scope="session")
def summary(write: Write, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Two runs: the report of one of them is there, the other has a name that no page should trust."""
    folder = tmp_path_factory.mktemp("page") / "runs"
    write(folder / "one", found="triviaqa")
    (folder / "one" / "report.html").write_text("")
    made = results(MODELS[1], "triviaqa", LABELINGS[0])
    write(folder / "other", HOSTILE, "triviaqa", made=replace(made, title=HOSTILE))
    published = folder.parent / "published.csv"
    published.write_text(
        "model,stage,metric,dataset,condition,value,low,high,unit,source\n"
        f"{MODELS[0]},detection,accuracy,nq_open,h_neurons,70.7,,,%,Table 1\n"
    )
    for stale in ("figures/gone.pdf", "tables/gone.tex"):
        (folder / "report" / stale).parent.mkdir(parents=True, exist_ok=True)
        (folder / "report" / stale).write_text("")
    return write_summary(read_runs([folder]), read_published(published), folder / "report")
