"""A cell in its process, which may live longer than the command that launched it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from hneuro.config import build_experiment, config_folder, register_schema
from hneuro.states import State, read_state
from hneuro.sweeps.cell import cell_of, run_cell
from hneuro.sweeps.plan import Cell, Plan, cell_folder, run_folder, state_of, write_plan

WORDS = ["dataset=file", "dataset.identification.path=nowhere.jsonl", "benchmark=none", "until=responses"]


def composed(words: Sequence[str]) -> DictConfig:
    """As a launcher composes the config of a cell in its worker."""
    register_schema()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        cfg = compose("config", [*words, "hydra.sweep.dir=outputs/sweeps/x"], return_hydra_config=True)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = ""
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


def planned(*cells: Sequence[str]) -> list[Cell]:
    """The cells of the last command that was given, in its words."""
    made = []
    for number, words in enumerate(cells):
        run = build_experiment(composed(words)).run_name
        made.append(Cell(number=number, overrides=tuple(words), varied=(words[-1],), run_dir=f"../../{run}"))
    write_plan(Path("outputs/sweeps/x"), Plan(command=("-m",), folder=".", columns=("seed",), cells=tuple(made)))
    return made


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs" / "sweeps" / "x"


def test_a_cell_is_known_by_its_folder_where_the_sweep_was_given_in_other_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = planned([*WORDS, "seed=0"], [*WORDS, "seed=1"])
    cfg = composed([*reversed(WORDS), "seed=1", "probe=l1"])
    assert cell_of(folder, ["other", "words"], build_experiment(cfg)) == cells[1]
    run_cell(cfg)
    said = "error: cell 1 (seed=1): dataset.identification.path: the file nowhere.jsonl does not exist\n"
    assert capsys.readouterr().err == said
    assert [state_of(folder, cell).state for cell in cells] == [State.MISSING, State.FAILED]


def test_cells_that_share_a_folder_are_told_apart_by_their_words(folder: Path) -> None:
    verdicts = [*WORDS[:-1], "until=verdicts"]
    cells = planned(WORDS, verdicts)
    assert run_folder(folder, cells[0]) == run_folder(folder, cells[1])
    assert cell_of(folder, verdicts, build_experiment(composed(verdicts))) == cells[1]


def test_a_cell_that_is_in_no_plan_still_says_what_went_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned([*WORDS, "seed=0"])
    cfg = composed([*WORDS, "seed=7"])
    run_cell(cfg)
    error = capsys.readouterr().err
    assert error.startswith("error: a cell that the sweep does not know (")
    assert error.endswith("dataset.identification.path: the file nowhere.jsonl does not exist\n")
    run = Path("outputs") / build_experiment(cfg).run_name
    assert read_state(run).state is State.FAILED
    (folder / "sweep.json").write_text("{")
    run_cell(cfg)
    assert "dataset.identification.path: the file nowhere.jsonl does not exist" in capsys.readouterr().err


def test_a_cell_that_cannot_be_built_here_fails_in_the_sweeps_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a node that has other files or variables than the machine that planned it."""
    words = [*WORDS, "max_span_loss=2"]
    cell = Cell(number=0, overrides=tuple(words), varied=("2",), run_dir="../../hneuro/elsewhere")
    write_plan(folder, Plan(command=("-m",), folder=".", columns=("max_span_loss",), cells=(cell,)))
    run_cell(composed(words))
    assert capsys.readouterr().err.startswith("error: cell 0 (2): max_span_loss is a share")
    assert read_state(cell_folder(folder, cell)).state is State.FAILED
    assert cell_of(folder, ["other"], None) is None
