"""A run and its folder: what is there while it runs, when it has failed, and when it is done.

status.json      "running", "done" or "failed", with the error and its traceback; where it stopped on request
config.yaml      the composed config
run_card.json    versions, hardware, commit; run_card-until-<stage>.json of a run that stopped behind a stage
results.json     everything that the report is made from
report.html  tables/  figures/  rows.parquet
disagreements.jsonl   where several judges disagree
"""

from __future__ import annotations

import errno
import json
import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hneuro.codec import to_plain
from hneuro.endpoint.exchange import usage
from hneuro.experiment import Experiment
from hneuro.progress import set_quiet
from hneuro.records import UserError
from hneuro.results import Results
from hneuro.store import Store

log = logging.getLogger(__name__)


def run_experiment(experiment: Experiment) -> str:
    """Runs the method and writes the run's folder. Returns the headline table and where the report lies.

    Of a run that stops behind a stage: what is in the store.
    """
    from hneuro import pipeline
    from hneuro.provenance import run_card

    set_quiet(experiment.quiet)
    folder = Path(experiment.output_dir) / experiment.run_name
    store = Store(Path(experiment.store_dir))
    until = experiment.until
    with _status(folder, until):
        _write(folder / "config.yaml", yaml.safe_dump(dict(experiment.config), sort_keys=False, allow_unicode=True))
        card = f"run_card-until-{until}.json" if until else "run_card.json"
        _write(folder / card, json.dumps(run_card(experiment), indent=1))
        if until:
            text = f"{pipeline.run_until(experiment, store, until)}\nThe same command without until={until} goes on."
        else:
            results = pipeline.run(experiment, store)
            _write(folder / card, json.dumps(run_card(experiment, results.data), indent=1))
            _write(folder / "results.json", json.dumps(to_plain(results), ensure_ascii=False))
            text = _report(results, folder)
            experiment.tracker.publish(folder, experiment.run_name, experiment.config, metrics(results))
    computed, loaded = len(store.tally.computed), len(store.tally.loaded)
    return "\n".join([text, *usage(), f"({computed} stages computed, {loaded} loaded from {store.root})"])


def rewrite_report(folder: Path) -> str:
    """The report of a finished run, made again from its results.json."""
    return _report(finished_results(folder), folder)


def finished_results(folder: Path) -> Results:
    """What a finished run found."""
    from hneuro.report.across.folders import read_results

    file = folder / "results.json"
    if not file.is_file():
        raise UserError(f"{folder} is no finished run: it has no results.json")
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
    from hneuro.report.page import write_report
    from hneuro.report.tables.headline import headline

    page = write_report(results, folder)
    return f"{headline(results)}\n\nreport: {page.resolve()}"


@contextmanager
def _status(folder: Path, until: str | None) -> Iterator[None]:
    """Keeps status.json true whatever happens, and turns a full disk into a line that says what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "status.json", json.dumps({"state": "running", "pid": os.getpid()}))
        yield
    except BaseException as fault:
        failure = {"state": "failed", "error": f"{type(fault).__name__}: {fault}", "traceback": traceback.format_exc()}
        _try_write(folder / "status.json", failure)
        if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise UserError(
                f"cannot write to {folder} or the store: {fault}; the same command goes on later"
            ) from fault
        raise
    _write(folder / "status.json", json.dumps({"state": "done"} | ({"until": until} if until else {})))


def _try_write(file: Path, content: Mapping[str, Any]) -> None:
    try:
        _write(file, json.dumps(content, indent=1))
    except OSError as fault:
        log.warning("cannot write %s: %s", file, fault)


def _write(file: Path, text: str) -> None:
    fresh = file.with_name(f"{file.name}.{os.getpid()}.fresh")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)
