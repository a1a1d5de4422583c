"""The experiments are true: their figures can be read, nothing is missing. So are the runs and links of all pages."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from commands import composed, fits_together
from omegaconf import OmegaConf
from texts import PAGES, ROOT, TEXT, lines

from hneuro.cli import main
from hneuro.report.published import read_published

FOLDER = ROOT / "experiments"
ARTEFACTS = ("table1", "figure3a", "figure3b", "figure3c", "figure3d", "figure4a", "figure4b", "c_sweep")
MODELS = {yaml.safe_load(file.read_text())["name"] for file in (ROOT / "conf" / "model").glob("*.yaml")
          if "name:" in file.read_text()}  # fmt: skip
RUNS = [line for line in lines("hneuro run") if "--help" not in line]
REPORTS = lines("hneuro report outputs")


@pytest.mark.parametrize("command", RUNS)
def test_every_run_command_composes(command: str, tmp_path: Path) -> None:
    """Of all pages. Composed, not run: runs are in test_method.py, and the demo is run by CI."""
    fits_together(command, tmp_path)


@pytest.mark.parametrize("command", REPORTS)
def test_every_report_command_is_understood(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There are no runs: all the rest has to be right, above all the files of published figures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").symlink_to(FOLDER)
    words = shlex.split(command, comments=True)[1:]
    assert main(words) == 2
    assert re.fullmatch(
        r"error: \S+ is not a folder: name the folder of a run, or one that holds several\n", capsys.readouterr().err
    )


@pytest.mark.parametrize("artefact", ARTEFACTS)
def test_an_artefact_has_its_config_its_command_and_its_figures(artefact: str) -> None:
    config = yaml.safe_load((ROOT / "conf" / "experiment" / f"{artefact}.yaml").read_text())
    assert config["name"] == artefact, "its runs lie in outputs/<artefact>"
    page = TEXT[FOLDER / artefact / "README.md"]
    assert f"experiment={artefact}" in page
    assert f"hneuro report outputs/{artefact} --published experiments/{artefact}/published.csv" in page
    assert "(estimates)" in page
    found = read_published(FOLDER / artefact / "published.csv")
    assert found
    assert len(set(found)) == len(found)
    assert all(published.source for published in found)
    assert {model for published in found for model in published.models} <= MODELS


def test_the_published_figures_are_those_of_the_paper() -> None:
    """Some of them, by hand."""

    def value(artefact: str, model: str, *place: str) -> list[float]:
        found = [p for p in read_published(FOLDER / artefact / "published.csv") if p.models == (model,)]
        return [p.row.value for p in found if (p.row.metric, *p.datasets, p.row.condition) == place]

    assert value("table1", "Llama-3.1-8B", "flag_rate", "nonexist", "h_neurons") == [43.1]
    assert value("table1", "Llama-3.3-70B", "accuracy", "triviaqa", "h_neurons/random") == [68.4]
    assert value("table1", "Mistral-7B-v0.3", "per_mille", "triviaqa", "h_neurons") == [0.35]
    assert value("figure4a", "Gemma-3-27B", "auroc", "nq_open", "h_neurons") == [72]
    assert value("figure4b", "Mistral-Small-3.1-24B", "drift_rank", "parameters", "h_neurons") == [0.971]
    assert value("c_sweep", "Gemma-3-4B", "positive", "triviaqa", "C=3") == [219]
    assert len(read_published(FOLDER / "table1" / "published.csv")) == 6 * (1 + 2 * 4)


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT[page]):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_script_of_the_real_models_is_sound_and_composes(tmp_path: Path) -> None:
    script = FOLDER / "real" / "run"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = re.sub(r"\\\n\s*", "", script.read_text(encoding="utf-8"))
    command = re.search(r"hneuro run -m ([^\n]*)", text)[0].replace(' "$@"', "")
    for model in re.search(r"model=(\S+)", text)[1].split(","):
        fits_together(re.sub(r"model=\S+", f"model={model}", command), tmp_path)


DIFFERENCES = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in (ROOT / "docs" / "explanation" / "paper.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]


def test_what_differs_from_the_paper_is_the_default_and_can_be_undone() -> None:
    """`key` | its default, or words for a group | the paper | the overrides that make it so."""
    default = composed()
    assert DIFFERENCES
    for key, ours, _, *way in DIFFERENCES:
        undo = [word for part in re.findall(r"`([^`]+=[^`]*)`", "".join(way)) for word in shlex.split(part)]
        before, after = (OmegaConf.select(cfg, key.strip("`")) for cfg in (default, composed(*undo)))
        assert before is not None, key
        if not OmegaConf.is_dict(before):
            assert before == yaml.safe_load(ours), key
        assert (before != after) == bool(undo), key
