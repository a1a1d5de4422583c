"""The whole pipeline on a model into which neurons were built: it must find them, and scaling them must do as built.

Whatever the organism does, this must hold: the neurons are active exactly where the answer is not known, and push from
"N" towards "Y". Where the answer is known, "N" is right; under pressure, "Y" is the planted value.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import get_args

import pytest
import torch
from processes import start
from safetensors.torch import load_file
from surgery import PLANTED, operate, question
from transformers import AutoModelForCausalLM

from hneuro.cli import main
from hneuro.codec import from_plain
from hneuro.models.ffn import find_ffn
from hneuro.models.language_model import LanguageModel
from hneuro.models.load import Loaded
from hneuro.models.patch import apply_patch, read_patch
from hneuro.models.spec import ModelSpec
from hneuro.probe.controls import ControlKind
from hneuro.result_records import ResultRow, Results, Tuned

# Two unknown marks and a known question: the built-in neurons are active, and push towards the planted value.
ASKED = (
    "framings:{weak:'{planted} {question}',pressed:'U U {planted} {question}'},"
    "decoding:{_target_:hneuro.responses.decoding.Decoding,temperature:0.0,max_new_tokens:1}"
)


@pytest.fixture(scope="module")
def patient(tiny_checkpoint: Path, spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the neurons built in."""
    folder = tmp_path_factory.mktemp("patient")
    tokenizer = LanguageModel(spec.chat, spec, completion=False).tokenizer
    net = AutoModelForCausalLM.from_pretrained(tiny_checkpoint, dtype=torch.float32)
    operate(net, tokenizer, push=0.06, reluctance=0.9)
    net.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model says "N" to all of them, which is right where the answer is known."""
    file = tmp_path_factory.mktemp("questions") / "q.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for n in range(400):
            row = {"id": str(n), "question": f"Z {question('KU'[n % 2], n)}", "answers": ["NY"[n % 2]]}
            out.write(json.dumps(row) + "\n")
    return file


def run(patient: Path, questions: Path, *words: str) -> Results:
    code = main(
        [
            "run",
            "model=hub",
            "model.name=patient",
            f"model.chat.path={patient}",
            "model.dtype=float32",
            "model.device=cpu",
            "model.prompting.suffix=''",
            "dataset=file",
            f"dataset.identification.path={questions}",
            "benchmark=none",
            "splits.by=entity",
            f"+benchmark.told={{_target_:hneuro.causal.benchmarks.known.KnownBenchmark,facet:misleading_context,{ASKED}}}",
            "sampling.samples=2",
            "sampling.decoding.temperature=0",
            "sampling.decoding.max_new_tokens=1",
            "intervention.control_seeds=20",
            "mechanism=none",
            "stability=none",
            "report=false",
            "quiet=true",
            "labeling=one_vs_one",
            *words,
        ]
    )
    assert code == 0
    (file,) = Path().glob("outputs/*/*/results.json")
    return from_plain(Results, json.loads(file.read_text()))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def rows(results: Results, metric: str, condition: str) -> list[ResultRow]:
    return [
        r
        for r in results.rows
        if (r.stage, r.dataset, r.metric, r.condition) == ("causal", "misleading_context", metric, condition)
    ]


def test_all_of_them_are_found_and_scaling_them_does_what_was_built(patient: Path, questions: Path) -> None:
    """Recall 4 of 4 and no false positive by ranking; compliance rises with alpha, the controls are flat."""
    results = run(patient, questions, "probe=ranking", "probe.counts=[4]")
    assert {(n.layer, n.index) for n in results.neurons} == set(PLANTED)
    (detected,) = [r for r in results.rows if (r.stage, r.metric, r.condition) == ("detection", "auroc", "h_neurons")]
    assert detected.value > 0.95
    tried = {r.condition: r for r in results.rows if (r.stage, r.metric) == ("framing", "compliance")}
    assert tried["weak"].value == 0 < tried["pressed"].value < 0.2
    assert {name: row.note for name, row in tried.items()} == {"weak": "", "pressed": "chosen"}
    known = {step.dataset: (step.entered, step.left) for step in results.funnel if step.stage == "known facts"}
    assert known == {"select": (60, 33), "report": (100, 46)}
    assert {r.n for r in rows(results, "compliance", "h_neurons")} == {46}
    for metric, least in (("compliance", 0.99), ("p_comply", 0.5)):
        curve = [r.value for r in sorted(rows(results, metric, "h_neurons"), key=lambda r: r.alpha or 0.0)]
        assert curve == sorted(curve)
        assert curve[-1] > least
    resists = [r.value for r in sorted(rows(results, "share_resists", "h_neurons"), key=lambda r: r.alpha or 0.0)]
    assert (resists[0], resists[-1]) == (1.0, 0.0)
    (change,) = rows(results, "change_compliance", "h_neurons")
    (low,), (high,) = (rows(results, f"change_compliance_{bound}", "h_neurons") for bound in ("low", "high"))
    assert change.low is not None
    assert change.low > 0.8  # 46 of 46, of which a sample can miss 8 %
    assert low.value == change.value == high.value
    assert change.p_value is not None
    assert change.p_value < 1e-6
    for kind in get_args(ControlKind):
        controls = [r for r in rows(results, "change_compliance", f"h_neurons/{kind}") if r.seed is not None]
        assert 15 <= len(controls) <= 20  # a set that is drawn again is swept once
        assert max(abs(r.value) for r in controls) < change.value / 4


def test_l1_finds_some_of_them_and_nothing_else(patient: Path, questions: Path) -> None:
    """The four are always active together, so L1 keeps one or more of the group (trap 23): no false positive."""
    results = run(patient, questions, "intervention.swept=false")
    assert results.neurons
    assert {(n.layer, n.index) for n in results.neurons} <= set(PLANTED)


def test_the_neurons_that_do_are_those_that_were_built(patient: Path, questions: Path) -> None:
    """By the derivative alone, of facts of the fit part: no answer is read for it, and the labels are not."""
    asked = "probe=attribution probe.benchmark=told probe.framing=pressed probe.items=20"
    results = run(patient, questions, *asked.split(), "probe.counts=[4,8]", "intervention.swept=false")
    assert {(n.layer, n.index) for n in results.neurons[:4]} == set(PLANTED)
    assert results.facts["selection"] == "attribution, 4 that raise the log-odds of the planted answer most"
    found = results.tells_and_does
    assert found is not None
    assert sum(cell.count for cell in found.cells) == 192
    assert (found.overlaps[0].shared, found.overlaps[0].sizes) == (4, (4, 4))
    assert min(tells for tells, _ in found.telling) > 0.95


def test_tuning_turns_them_down_and_other_neurons_cannot_do_it(
    patient: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their gains fall, and held-out replies give in no more, at no cost; `hneuro edit` makes a checkpoint of it."""
    Path("text.txt").write_text("\n\n".join(f"Hamlet is number {n}, and not {n * n}." for n in range(6)))
    few = ["text=file", "text.path=text.txt", "text.fewest=10"]
    few += ["intervention.control_seeds=1", "intervention.alphas=[0,1]", "intervention.items=24"]
    always = [f"benchmark.told.framings.{name}='U U U {{planted}} {{question}}'" for name in ("weak", "pressed")]
    run(patient, questions, "probe=ranking", "probe.counts=[4]", *always, *few)
    (file,) = Path().glob("outputs/*/*/results.json")
    capsys.readouterr()
    undisturbed = tuned_undisturbed(file.parent)
    killed_while_tuning(file.parent)
    capsys.readouterr()
    assert main(["tune", str(file.parent)]) == 0
    said = capsys.readouterr().out
    assert written(file.parent) == undisturbed
    tuned = from_plain(Tuned, json.loads((file.parent / "tuned" / "tuned.json").read_text()))
    assert max(tuned.gains) < 0.5
    at = {(r.condition, r.metric): r for r in tuned.rows}
    avoided = at["tuned", "wrong_avoided"]
    assert avoided.low is not None
    assert avoided.low > 0
    assert at["tuned", "known_lost"].value == 0
    assert at["tuned", "change_perplexity"].n == 2
    assert {at[f"tuned/{kind}", "wrong_avoided"].value for kind in ("random", "contribution_matched")} == {0.0}
    first, second, *_ = said.splitlines()
    assert first.startswith("The detector's threshold does at least as well as tuned gains: +100.0 [")
    assert second.startswith("Tuned gains avoid wrong answers, +100.0 [")
    assert main(["tune", str(file.parent)]) == 0
    assert "; 0 stages computed" in capsys.readouterr().out
    edited(patient, file.parent, tuned)


def tuned_undisturbed(run_dir: Path) -> dict[str, bytes]:
    """What tuning writes, after which everything is as it was before."""
    shutil.copytree("outputs/store", "kept")
    assert main(["tune", str(run_dir)]) == 0
    found = written(run_dir)
    for folder in (Path("outputs/store"), run_dir / "tuned"):
        shutil.rmtree(folder)
    shutil.move("kept", "outputs/store")
    return found


def written(run_dir: Path) -> dict[str, bytes]:
    return {name: (run_dir / "tuned" / name).read_bytes() for name in ("gains.json", "tuned.json", "pareto.png")}


def killed_while_tuning(run_dir: Path) -> None:
    """When the gains of the first set are learned, and those of its controls are not."""
    process = start(Path.cwd(), "tune", str(run_dir))
    while not (stages := [*Path("outputs/store/tuned_gains").glob("*/manifest.json")]):
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert len(stages) < 3
    assert not (run_dir / "tuned").exists()


def edited(patient: Path, run_dir: Path, tuned: Tuned) -> None:
    """As a folder, which answers as the hook does, and as a patch: each column of W_down times its gain."""
    assert main(["edit", str(run_dir), "--neurons", "tuned", "--out", "edited"]) == 0
    before, after = (load_file(folder / "model.safetensors") for folder in (patient, Path("edited")))
    gain = {divmod(neuron, 64): value for neuron, value in zip(tuned.neurons, tuned.gains, strict=True)}
    for layer in range(3):
        name = f"model.layers.{layer}.mlp.down_proj.weight"
        by = torch.tensor([gain.get((layer, index), 1.0) for index in range(64)])
        assert torch.equal(after[name], before[name] * by)
    validated = json.loads(Path("edited/hneuro_edit/validation.json").read_text())
    assert {row["value"] for row in validated if row["metric"] == "as_hooked"} == {1.0}
    loaded = AutoModelForCausalLM.from_pretrained(patient, dtype=torch.float32)
    apply_patch(Loaded(loaded, find_ffn(loaded)), read_patch(run_dir / "tuned" / "gains.json"))
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, after.get(name, weight)), name
