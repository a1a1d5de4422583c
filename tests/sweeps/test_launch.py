"""Launchers that break down: every cell comes to an end, and none is tried for ever."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hneuro.cli import main
from hneuro.records import UserError
from hneuro.states import State, keeping_state, read_state
from hneuro.sweeps.launch import TRIES, finish
from hneuro.sweeps.plan import Cell, Plan, run_folder, state_of, write_plan
from hneuro.sweeps.table import described, exit_code


def cells(count: int) -> list[Cell]:
    return [
        Cell(number=n, overrides=(f"seed={n}",), varied=(str(n),), run_dir=f"../../hneuro/{n}") for n in range(count)
    ]


def dies(folder: Path) -> None:
    """What SIGKILL leaves behind."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status.json").write_text(json.dumps({"state": "running", "owner": "host-1"}))
    (folder / "owner-host-1.lock").touch()


def launcher(sweep: Path, poison: int, log: list[list[int]]) -> Callable[[Sequence[Cell]], None]:
    """Two workers, of which one takes the other and all cells behind it along."""

    def launch(batch: Sequence[Cell]) -> None:
        log.append([cell.number for cell in batch])
        for pair in (batch[n : n + 2] for n in range(0, len(batch), 2)):
            if any(cell.number == poison for cell in pair):
                for cell in pair:
                    dies(run_folder(sweep, cell))
                raise RuntimeError("a worker was terminated")
            for cell in pair:
                with keeping_state(run_folder(sweep, cell)):
                    pass

    return launch


@pytest.mark.parametrize("poison", [0, 3])
def test_one_cell_that_kills_its_worker_costs_no_other(tmp_path: Path, poison: int) -> None:
    sweep, log = tmp_path / "sweeps" / "x", []
    wanted = cells(6)
    finish(sweep, wanted, launcher(sweep, poison, log))
    states = [state_of(sweep, cell).state for cell in wanted]
    assert states == [State.DIED if n == poison else State.DONE for n in range(6)]
    assert sum(batch.count(poison) for batch in log) == TRIES
    plan = Plan(command=("-m", "seed=0,1"), folder="/here", columns=("seed",), cells=tuple(wanted))
    assert exit_code(sweep, plan) == 1
    assert "5 done, 1 died" in described(sweep, plan)
    assert "hneuro run -m seed=0,1" in described(sweep, plan)


def test_a_launcher_that_starts_nothing_is_an_error_and_not_tried_again(tmp_path: Path) -> None:
    def launch(batch: Sequence[Cell]) -> None:
        raise FileNotFoundError("sbatch")

    with pytest.raises(UserError, match="no cell could be launched: FileNotFoundError: sbatch"):
        finish(tmp_path / "x", cells(2), launch)


def test_a_cell_that_another_process_runs_is_waited_for_and_not_launched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = tmp_path / "sweeps" / "x"
    (cell,) = cells(1)
    other = keeping_state(run_folder(sweep, cell))
    other.__enter__()
    monkeypatch.setattr("hneuro.sweeps.launch.time.sleep", lambda _: other.__exit__(None, None, None))
    finish(sweep, [cell], lambda batch: pytest.fail("launched"))
    assert state_of(sweep, cell).state is State.DONE


def test_a_cell_that_another_process_finishes_meanwhile_is_not_launched(tmp_path: Path) -> None:
    """What the workers of a killed launcher are still at, while its command is given again."""
    sweep, log = tmp_path / "sweeps" / "x", []
    wanted = cells(2)
    other = keeping_state(run_folder(sweep, wanted[1]))
    other.__enter__()

    def launch(batch: Sequence[Cell]) -> None:
        log.append([cell.number for cell in batch])
        with keeping_state(run_folder(sweep, wanted[0])):
            other.__exit__(None, None, None)

    finish(sweep, wanted, launch)
    assert log == [[0]]
    assert [state_of(sweep, cell).state for cell in wanted] == [State.DONE, State.DONE]


def test_what_a_failed_run_leaves_is_read_back(tmp_path: Path) -> None:
    def fails() -> None:
        assert read_state(tmp_path).state is State.RUNNING
        raise UserError("no file q.jsonl")

    with pytest.raises(UserError), keeping_state(tmp_path):
        fails()
    state = read_state(tmp_path)
    assert (state.state, state.reason, state.code) == (State.FAILED, "no file q.jsonl", 2)
    assert "Traceback" in (tmp_path / "traceback.txt").read_text()
    with keeping_state(tmp_path, until="responses"):
        pass
    assert (read_state(tmp_path).state, read_state(tmp_path).until) == (State.DONE, "responses")
    assert {file.name for file in tmp_path.iterdir()} == {"status.json"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "-m", "model=glob(zzz*)"], "model=glob(zzz*): there is nothing to sweep over"),
        (
            ["run", "-m", "probe=l1,elastic_nt"],
            "probe=elastic_nt: there is no such choice; did you mean 'elastic_net'?",
        ),
        (["run", "-m", "+probe.tol=1,2"], "probe.tol: there is no such key; did you mean 'tolerance'?"),
        (["run", "hydra/launcher=pbs"], "the launcher pbs is not installed"),
        (["run", "+hydra.lancher=1"], "hydra.lancher: there is no such key; did you mean 'launcher'?"),
        (["run", "launcher=joblib", "+hydra.launcher.n_job=3"], "hydra.launcher.n_job: there is no such key; did you"),
        (
            ["run", "+hydra.sweeper.n_trials=3"],
            "hydra.sweeper.n_trials: there is no such key; there are max_batch_size",
        ),
        (
            ["run", "-m", "hydra.launcher.n_jobs=3"],
            "this launcher has no settings; choose another one, as launcher=joblib",
        ),
        (["staus", "."], "hneuro staus: there is no such command; did you mean 'status'?"),
        (["status", "."], "holds neither a sweep nor a run"),
        (["configs", "--check", "conf"], "there is no folder conf"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert not list(tmp_path.iterdir())


def test_a_run_that_a_full_disk_ended_does_not_say_that_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        monkeypatch.setattr("hneuro.states.write_text", full)  # from now on
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="the same command resumes later"), keeping_state(tmp_path):
        full()
    assert read_state(tmp_path).state is State.DIED


@pytest.mark.parametrize(
    "word",
    [
        "+hydra.job.env_set.HNEURO_X=1",
        "+hydra.job_logging.loggers.lab.level=INFO",
        "+hydra.sweeper.params={seed: '0,1'}",
    ],
)
def test_what_hydra_leaves_open_stays_open(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["dataset=file", "dataset.identification.path=nowhere.jsonl", "benchmark=none"]
    assert main(["run", "--dry-run", *words, word]) == 2  # for the run alone, not for what Hydra was told
    assert "path: the file nowhere.jsonl does not exist" in capsys.readouterr().err


def test_the_settings_of_slurm_are_all_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["launcher=slurm", "+hydra.launcher.additional_parameters.reservation=lab", "benchmark=none"]
    setup = "hydra.launcher.setup=[module load cuda]"
    rest = ["dataset=file", "dataset.identification.path=nowhere.jsonl", "hydra.launcher.qos=high"]
    assert main(["run", "--dry-run", *words, setup, *rest]) == 2
    assert "path: the file nowhere.jsonl does not exist" in capsys.readouterr().err


def test_the_table_names_what_has_not_been_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = tmp_path / "outputs" / "sweeps" / "x"
    plan = Plan(command=("-m", "seed=0,1"), folder=str(tmp_path), columns=("seed",), cells=tuple(cells(2)))
    write_plan(sweep, plan)
    with keeping_state(run_folder(sweep, plan.cells[0])):
        pass
    assert main(["status", str(sweep)]) == 1
    assert "1 done, 1 missing" in capsys.readouterr().out
