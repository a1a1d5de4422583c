"""A run and its folder: what is there while it runs, when it has failed, and when it is done.

status.json      "running", "done" or "failed", with the error; where it stopped on request (`hneuro.states`)
traceback.txt    of a failed run
config.yaml      the composed config
run_card.json    overrides, versions, hardware, commit; run_card-until-<stage>.json of a run that stopped after a stage
results.json     everything that the report is made from
detector/        what hneuro.Detector loads
report.html  tables/  figures/  rows.parquet
disagreements.jsonl   where several judges disagree
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import yaml

from hneuro.codec import to_plain
from hneuro.disk import write_text, writing
from hneuro.endpoint.client import usage
from hneuro.experiment import Experiment
from hneuro.progress import REPORT, STEPS, set_quiet, step, steps
from hneuro.records import UserError
from hneuro.result_records import Results
from hneuro.states import keeping_state
from hneuro.store import Store


def run_experiment(experiment: Experiment, overrides: Sequence[str] = ()) -> str:
    """Runs the method and writes the run's folder. Returns the findings and where the report is.

    Of a run that stops after a stage: what is in the store. `overrides` are kept in the run card, and read by nobody.
    """
    started = time.monotonic()
    set_quiet(experiment.quiet)
    folder = Path(experiment.output_dir) / experiment.run_name
    store = Store(Path(experiment.store_dir))
    until = experiment.until
    with keeping_state(folder, until):
        experiment.check_inputs()
        with writing("results", store.root.absolute()):
            store.root.mkdir(parents=True, exist_ok=True)
        experiment.model.chat.identity()  # a model that cannot be had is said before torch is imported
        with steps(() if until else STEPS, store.counts):
            text = _made(experiment, store, folder, overrides)
    computed, loaded = store.counts()
    stages = "stage" if computed == 1 else "stages"
    took = f"{timedelta(seconds=round(time.monotonic() - started))}"
    return "\n".join([text, *usage(), f"({computed} {stages} computed, {loaded} loaded from {store.root}, in {took})"])


def _made(experiment: Experiment, store: Store, folder: Path, overrides: Sequence[str]) -> str:
    """Runs the method, and writes what there is to know about it while it goes. What to print."""
    from hneuro.detector import Detector
    from hneuro.detector_files import FOLDER as DETECTOR
    from hneuro.pipeline import method
    from hneuro.provenance import run_card

    until = experiment.until
    write_text(folder / "config.yaml", yaml.safe_dump(dict(experiment.config), sort_keys=False, allow_unicode=True))
    card = f"run_card-until-{until}.json" if until else "run_card.json"
    write_text(folder / card, json.dumps(run_card(experiment, overrides), indent=1))
    if until:
        return f"{method.run_until(experiment, store, until)}\nThe same command without until={until} continues."
    results = method.run(experiment, store)
    step(REPORT)
    write_text(folder / card, json.dumps(run_card(experiment, overrides, results.data), indent=1))
    write_text(folder / "results.json", json.dumps(to_plain(results), ensure_ascii=False))
    Detector.of_run(results, experiment.config).save(folder / DETECTOR)
    text = _report(results, folder) if experiment.report else _tables(results, folder)
    experiment.tracker.publish(folder, experiment.run_name, experiment.config, metrics(results))
    return text


def is_current(experiment: Experiment) -> bool:
    """Whether the finished run of this config was made by the code that runs now, and as the config wants it now."""
    from hneuro.provenance import code_now, code_of

    folder = Path(experiment.output_dir) / experiment.run_name
    card = f"run_card-until-{experiment.until}.json" if experiment.until else "run_card.json"
    try:
        made = json.loads((folder / card).read_text(encoding="utf-8"))
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return bool(config == experiment.config) and code_of(made) == code_now()


def rewrite_report(folder: Path) -> str:
    """The report of a finished run, made again from its results.json."""
    return _report(finished_results(folder), folder)


def finished_results(folder: Path) -> Results:
    """What a finished run found."""
    from hneuro.report.folders import read_results

    file = folder / "results.json"
    if not file.is_file():
        raise UserError(f"{folder} is not a finished run: it has no results.json; run its command again")
    return read_results(file)


def metrics(results: Results) -> dict[str, float]:
    """The headline numbers under flat names, "detection/people/auroc/h_neurons": what trackers compare runs by."""
    found: dict[str, float] = {}
    for row in results.rows:
        if row.seed is None and not row.stratum and row.condition in ("h_neurons", "h_neurons/random", "logprob"):
            place = f"{row.stage}/{row.dataset}/{row.metric}/{row.condition}"
            found[place if row.alpha is None else f"{place}/alpha={row.alpha:g}"] = row.value
    return found


def _report(results: Results, folder: Path) -> str:
    from hneuro.report.findings import headline
    from hneuro.report.page import write_report

    page = write_report(results, folder)
    return f"{headline(results)}\n\nreport: {page.resolve()}"


def _tables(results: Results, folder: Path) -> str:
    from hneuro.report.compared import Compared
    from hneuro.report.findings import headline
    from hneuro.report.page import write_tables

    write_tables(Compared.one(results), folder)
    return f"{headline(results)}\n\ntables: {folder.resolve() / 'tables'}; hneuro report {folder} makes the page"
