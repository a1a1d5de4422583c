"""Where a finished run is shown: locally, or on Weights & Biases. The only file that imports wandb.

A tracker never costs a result: everything is on the disk before it is called, and what goes wrong in it is a warning.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

log = logging.getLogger(__name__)


@runtime_checkable
class Tracker(Protocol):
    """The part behind `tracker`."""

    def publish(self, run_dir: Path, name: str, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Shows a finished run: its config, metrics, `tables/*.csv`, `figures/*.png` and the neurons."""


@dataclass(frozen=True, kw_only=True)
class LocalTracker:
    """Writes the metrics beside the report and sends nothing anywhere."""

    def publish(self, run_dir: Path, name: str, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        text = json.dumps(dict(metrics), indent=1, sort_keys=True)
        (run_dir / "metrics.json").write_text(text + "\n", encoding="utf-8")


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
        try:
            self._publish(run_dir, name, config, metrics, self._mode())
        except Exception as fault:  # noqa: BLE001 - whatever goes wrong in a tracker, the result is safe
            log.warning("W&B could not take the run (%s); it is complete in %s", fault, run_dir)

    def _mode(self) -> str:
        if self.mode != "auto":
            return self.mode
        if wanted := os.environ.get("WANDB_MODE"):
            return wanted
        return "online" if os.environ.get("WANDB_API_KEY") else "offline"

    def _publish(
        self, run_dir: Path, name: str, config: Mapping[str, Any], metrics: Mapping[str, float], mode: str
    ) -> None:
        import pandas as pd
        import wandb

        def start(how: str) -> Any:
            return wandb.init(
                project=self.project,
                entity=self.entity,
                group=self.group,
                name=name,
                dir=str(run_dir),
                mode=how,  # type: ignore[arg-type]
                config=dict(config),
                settings=wandb.Settings(silent=True, console="off", init_timeout=self.init_timeout),
            )

        try:
            run = start(mode)
        except wandb.errors.Error as fault:
            log.warning("W&B cannot be reached (%s): logging offline", str(fault).splitlines()[0])
            run = start("offline")
        try:
            run.summary.update(dict(metrics))
            for table in sorted((run_dir / "tables").glob("*.csv")):
                run.log({f"tables/{table.stem}": wandb.Table(dataframe=pd.read_csv(table))})
            for figure in sorted((run_dir / "figures").glob("*.png")):
                run.log({f"figures/{figure.stem}": wandb.Image(str(figure))})
            neurons = wandb.Artifact("h-neurons", type="neurons")
            neurons.add_file(str(run_dir / "tables" / "neurons.csv"))
            run.log_artifact(neurons)
        finally:
            run.finish()
        if mode == "offline" or run.offline:
            log.warning("W&B run kept offline; to upload it: wandb sync %s", Path(run.dir).parent)
