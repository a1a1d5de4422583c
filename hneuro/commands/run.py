"""`hneuro run`: one experiment, or with -m a sweep."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hneuro.records import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hneuro.experiment import Experiment
    from hneuro.sweeps.plan import Plan

log = logging.getLogger(__name__)
MULTIRUN = {"-m", "--multirun"}


class Task:
    """What Hydra calls with the composed config of a single run. A sweep calls `run_cell`, and leaves its code here."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(word for word in words if word != "--dry-run")
        self.code = 0
        self.estimate = _estimate if len(self.words) < len(words) else None

    def __call__(self, cfg: DictConfig) -> None:
        """A failed run is reported in a line, and leaves its state on the disk."""
        from hydra.core.hydra_config import HydraConfig

        from hneuro.config import as_typed, build_experiment
        from hneuro.runs import run_experiment

        overrides = as_typed(HydraConfig.get())
        try:
            experiment = build_experiment(cfg)
            if self.estimate is not None:
                self.code = self.estimate(None, {0: experiment})
                return
            text = run_experiment(experiment, overrides)
            from hneuro.report.findings import coloured

            Console(highlight=False).print(coloured(text), soft_wrap=True)
        except UserError as fault:
            print(f"error: {fault}", file=sys.stderr)
            self.code = 2
        except Exception:
            log.exception("the run has failed by a fault of hneuro; please report it with this traceback")
            self.code = 1


def _estimate(plan: Plan | None, experiments: dict[int, Experiment]) -> int:
    if plan is None:
        experiments[0].check_inputs()  # before the libraries that computing needs are imported
    from hneuro.commands.dry_run import estimate

    return estimate(plan, experiments)


def run(words: Sequence[str]) -> int:
    """Hands the command line to Hydra. The exit code."""
    task = Task(words)
    call_hydra(["hneuro run", *_with_sources(task.words)], task)
    return task.code


def _with_sources(words: Sequence[str]) -> list[str]:
    """The words for Hydra, with every --config-dir, a folder or pkg://package.folder, in its search path."""
    from hneuro.config import as_hydra_reads, config_source, folder_of, lab_source
    from hneuro.config_faults import quoted

    left, named = [], []
    rest = iter(words)
    for word in rest:
        name, given, value = word.partition("=")
        if name in ("--config-dir", "-cd"):
            if not (value := value if given else next(rest, "")):
                raise UserError(f"{name} names a folder of configs, or pkg://package.folder")
            named.append(config_source(value))
        else:
            left.append(word)
    sources = [source for source in (lab_source(), *named) if source]
    left = list(as_hydra_reads(left, [folder_of(source) for source in sources]))
    left.sort(key=lambda word: word not in MULTIRUN)  # argparse wants the overrides in one piece
    if not named:
        return left
    place = next((n for n, word in enumerate(left) if "=" in word and not word.startswith("-")), len(left))
    return [*left[:place], f"hydra.searchpath=[{','.join(map(quoted, sources))}]", *left[place:]]


def complete(words: Sequence[str]) -> int:
    """Shell completion: Hydra completes overrides, and does not know of the word `run` before them."""
    line = os.environ.get("COMP_LINE", "")
    os.environ["COMP_LINE"] = line.replace("hneuro run ", "hneuro ", 1)
    call_hydra(["hneuro", *(word for word in words if word != "run")], lambda _: None)
    return 0


def call_hydra(argv: Sequence[str], task: Any) -> None:
    """Calls Hydra with a command line. What is wrong with an override becomes a `UserError` of one line."""
    import hydra
    from hydra.core.plugins import Plugins
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from hneuro.config import config_folder, register_schema
    from hneuro.config_faults import explain, no_name_of_a_choice
    from hneuro.hydra_keys import take_the_place_of_the_loader

    register_schema()
    take_the_place_of_the_loader()
    if MULTIRUN & set(argv) or any(word.startswith("experiment=") for word in argv):
        Plugins.instance()  # executes Hydra's own plugins a second time: what `Grid` is made of comes after it
        from hneuro.sweeps.grid import take_the_place_of_the_basic_sweeper

        take_the_place_of_the_basic_sweeper()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # faults come to us as they are, instead of being printed by Hydra
    before, sys.argv = sys.argv, list(argv)
    try:
        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")(task)()
    except (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError, RecursionError, OSError) as fault:
        raise UserError(explain(fault)) from fault
    except ValueError as fault:
        if not (said := no_name_of_a_choice(fault, argv, config_folder())):
            raise
        raise UserError(said) from fault
    finally:
        sys.argv = before
