"""Where a finished run is shown: locally, or on Weights & Biases. The only file that imports wandb.

A tracker never costs a result: everything is on the disk before it is called, and what goes wrong in it is a warning.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from hneuro.disk import write_text

log = logging.getLogger(__name__)


REPORT_FILES = ("report.html", "rows.parquet")
REPORT_FOLDERS = ("tables", "figures")


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Lines over alpha that share a chart: label -> (alphas, values)."""

    title: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]


@runtime_checkable
class Tracker(Protocol):
    """The part named by `tracker`."""

    def publish(self, run_dir: Path, name: str, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Shows a finished run: its config, metrics, `tables/*.csv`, `figures/*.png` and the neurons."""


@dataclass(frozen=True, kw_only=True)
class LocalTracker:
    """Writes the metrics next to the report and sends nothing anywhere."""

    def publish(self, run_dir: Path, name: str, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        text = json.dumps(dict(metrics), indent=1, sort_keys=True)
        write_text(run_dir / "metrics.json", text + "\n")


@dataclass(frozen=True, kw_only=True)
class WandbTracker:
    """Weights & Biases. `auto` is online with an API key and offline without, which needs no account and no network."""

    project: str = "hneuro"
    entity: str | None = None
    group: str | None = None
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    init_timeout: float = 20.0  # seconds before an unreachable server turns the run into an offline one

    def publish(self, run_dir: Path, name: str, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        LocalTracker().publish(run_dir, name, config, metrics)

        def show(run: Any) -> None:
            run.summary.update(dict(metrics))
            _log_files(run, run_dir)
            _keep(run, "h-neurons", "neurons", run_dir / "tables" / "neurons.csv")

        self._show(run_dir, name, config, "run", show)

    def publish_summary(self, folder: Path, name: str, curves: Iterable[Curves]) -> None:
        """Shows a report over several runs: tables, figures, curves as plots, and all of it as an artifact "report".

        Nothing but these is sent: no response of a model, and no prompt.
        """

        def show(run: Any) -> None:
            import wandb

            _log_files(run, folder)
            for each in curves:
                plot = wandb.plot.line_series(
                    xs=[list(x) for x, _ in each.lines.values()], ys=[list(y) for _, y in each.lines.values()],
                    keys=list(each.lines), title=each.title, xname="alpha",
                )  # fmt: skip
                run.log({f"plots/{each.title}": plot})
            _keep(run, "report", "report", *(folder / part for part in (*REPORT_FILES, *REPORT_FOLDERS)))

        self._show(folder, name, {}, "summary", show)

    def _show(self, folder: Path, name: str, config: Mapping[str, Any], job: str, show: Callable[[Any], None]) -> None:
        mode: str = self.mode
        if mode == "auto":
            mode = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
        try:
            with _staged_in(folder):
                run = self._start(folder, name, config, mode, job)
                try:
                    show(run)
                finally:
                    run.finish()
                if mode == "offline" or run.offline:
                    said = "W&B run kept offline; to upload it (elsewhere: from a copy at the same path): wandb sync %s"
                    log.warning(said, Path(run.dir).parent)
        except Exception as fault:  # noqa: BLE001 - whatever goes wrong in a tracker, the result is safe
            log.warning("W&B could not take the %s (%s); it is complete in %s", job, fault, folder)

    def _start(self, folder: Path, name: str, config: Mapping[str, Any], mode: str, job: str) -> Any:
        """A W&B run; an offline one where the server cannot be reached."""
        import wandb

        def start(how: str) -> Any:
            return wandb.init(
                project=self.project,
                entity=self.entity,
                group=self.group,
                job_type=job,
                name=name,
                dir=str(folder),
                mode=how,  # type: ignore[arg-type]
                config=dict(config),
                settings=wandb.Settings(silent=True, console="off", init_timeout=self.init_timeout),
            )

        try:
            return start(mode)
        except wandb.errors.Error as fault:
            log.warning("W&B cannot be reached (%s): logging offline", str(fault).splitlines()[0])
            return start("offline")


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Artifacts wait for their upload beside their run, not in the home folder: the run's folder has all of it."""
    own = "WANDB_DATA_DIR" not in os.environ  # else the user has said where
    if own:
        os.environ["WANDB_DATA_DIR"] = str(folder.absolute() / "wandb")
    try:
        yield
    finally:
        if own:
            del os.environ["WANDB_DATA_DIR"]


def _log_files(run: Any, folder: Path) -> None:
    import pandas as pd
    import wandb

    for table in sorted((folder / "tables").glob("*.csv")):
        run.log({f"tables/{table.stem}": wandb.Table(dataframe=pd.read_csv(table))})
    for figure in sorted((folder / "figures").glob("*.png")):
        run.log({f"figures/{figure.stem}": wandb.Image(str(figure))})


def _keep(run: Any, name: str, kind: str, *parts: Path) -> None:
    """Files and folders as an artifact."""
    import wandb

    artifact = wandb.Artifact(name, type=kind)
    for part in parts:
        (artifact.add_dir if part.is_dir() else artifact.add_file)(str(part), name=part.name)
    run.log_artifact(artifact)
