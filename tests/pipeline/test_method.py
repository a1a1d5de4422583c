"""The whole method, end to end, on random tiny models that "know" what half of the gold answers say."""

from __future__ import annotations

import json
import time
from math import isnan
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from processes import end, start
from transformers import PreTrainedTokenizerFast

from hneuro.cli import main
from hneuro.codec import from_plain
from hneuro.detection.mechanism.signals import SIGNALS
from hneuro.detection.rivals import RIVALS
from hneuro.models.language_model import LanguageModel
from hneuro.records import Question
from hneuro.report.causal_verdicts import every_change
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import discrimination
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import TransformersSampler
from hneuro.result_records import Results
from hneuro.verdicts.words import normal_words

PARTS = Path(__file__).parent / "parts"


def write_questions(path: Path, model: LanguageModel, prefix: str, count: int, *others: LanguageModel) -> None:
    """Questions to half of which the gold answer is what the model says: it is consistently right or wrong.

    What `others` say is right, too.
    """
    asked = [
        Question(id=f"{prefix}{n}", dataset=prefix, text=f"What is {prefix} {n}?", answers=(), entity=f"{prefix}{n}")
        for n in range(count)
    ]
    sampler = TransformersSampler(samples=1, decoding=Decoding(temperature=0.0, max_new_tokens=6))
    with path.open("w", encoding="utf-8") as out:
        for n, said in enumerate(zip(*(sampler.sample(m, asked, 1, 0) for m in (model, *others)), strict=True)):
            if all(normal_words(response.text) for response in said):
                gold = [response.text for response in said] if n % 2 else ["something else entirely"]
                row = {"id": asked[n].id, "question": asked[n].text, "answers": gold, "entity": asked[n].entity}
                out.write(json.dumps(row) + "\n")


@pytest.fixture(scope="module")
def words(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_checkpoint: Path,
    language_model: LanguageModel,
    base_model: LanguageModel,
    tokenizer: PreTrainedTokenizerFast,
) -> list[str]:
    """The overrides of a complete run: two data sets, a benchmark, a base model."""
    folder = tmp_path_factory.mktemp("questions")
    write_questions(folder / "numbers.jsonl", language_model, "number", 70)
    write_questions(folder / "letters.jsonl", language_model, "letter", 24)
    counts = "".join(f"number{n},{n}\n" for n in range(70))  # nothing of the letters
    (folder / "counts.csv").write_text(f"entity,count\n{counts}")
    return [
        "model=hub",
        "model.name=tiny",
        f"model.chat.path={tiny_checkpoint}",
        f"model.base={{_target_:hneuro.models.sources.HubCheckpoint,path:{base_model.source.locate()}}}",
        "model.dtype=float32",
        "model.device=cpu",
        "dataset=file",
        f"dataset.identification.path={folder}/numbers.jsonl",
        f"+dataset.evaluation.letters={{_target_:hneuro.questions.file.QuestionFile,path:{folder}/letters.jsonl}}",
        "benchmark=none",
        "splits.by=entity",
        "+benchmark.yes_no={_target_:lab_parts.YesNo}",
        "sampling.samples=2",
        "sampling.decoding.temperature=0",
        "sampling.decoding.max_new_tokens=6",
        "stability.resamples=6",
        "stability.permuted=2",
        "detection.control_seeds=3",
        "mechanism.samples=2",
        "mechanism.folds=2",
        "mechanism.min_per_class=3",
        f"mechanism.counts={folder}/counts.csv",
        "intervention.alphas=[0,1,3]",
        "intervention.control_seeds=2",
        "intervention.ranked=5",
        "intervention.rows_per_shard=16",
        "quiet=true",
    ]


@pytest.fixture(autouse=True)
def _parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(PARTS))
    monkeypatch.chdir(tmp_path)


def run_folder(root: Path) -> Path:
    (status,) = root.glob("outputs/hneuro/*/status.json")
    return status.parent


def test_a_run_leaves_everything_and_a_second_one_computes_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    monkeypatch.setenv("WANDB_API_KEY", "wandb_very_secret")
    assert main(["run", *words]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    folder = run_folder(tmp_path)
    assert str(folder / "report.html") in said
    for name in ("report.html", "results.json", "config.yaml", "run_card.json", "rows.parquet", "metrics.json"):
        assert (folder / name).stat().st_size > 0
    assert json.loads((folder / "status.json").read_text())["state"] == "done"
    for file in folder.rglob("*"):
        assert not file.is_file() or b"very_secret" not in file.read_bytes(), file

    results = from_plain(Results, json.loads((folder / "results.json").read_text()))
    stages = {"detection", "calibration", "permuted", "mechanism", "causal", "origin"}
    assert {row.stage for row in results.rows} == stages
    beside = {r.condition: r for r in results.rows if (r.stage, r.metric, r.dataset) == ("detection", "auroc", "file")}
    assert set(RIVALS) <= set(beside)
    assert {beside[name].n for name in RIVALS} == {beside["h_neurons"].n}
    assert {row.dataset for row in results.rows if row.stage == "detection"} == {"file", "letters"}
    assert {"yes_no", "known_facts", "neurons"} == {row.dataset for row in results.rows if row.stage == "causal"}
    for step in results.funnel:
        assert step.entered - step.left == sum(step.lost.values()), step
    unknown = {s.dataset: dict(s.lost) for s in results.funnel if s.stage == "training frequency"}
    letters = [r for r in results.rows if (r.stage, r.metric, r.dataset) == ("mechanism", "auroc", "letters")]
    by_signal = {r.condition: r for r in letters}
    assert unknown == {"letters": {"not in the count file": by_signal["logprob"].n}}
    assert (by_signal["rarity"].n, by_signal["rarity"].note) == (0, "not in the count file")
    assert by_signal["unsure"].n == by_signal["active_share"].n == by_signal["logprob"].n > 0
    assert len(results.neurons) == sum(results.neurons_by_layer) > 0
    assert results.stability is not None
    assert {o.between for o in results.stability.overlaps} == {"resamples", "strengths", "labeling modes"}
    told = {f.rank: f.frequency for f in results.stability.neurons}
    assert [n.frequency for n in results.neurons] == [told[n.rank] for n in results.neurons]
    assert results.responses
    tidy = Tidy(results)  # what the report reads has the names that the stages give it
    assert [v.dataset for v in discrimination(tidy, "detection") if v.random is not None] == ["file", "letters"]
    own = {(c.benchmark, c.metric): c.kinds for c in every_change(tidy) if c.neuron_set == "h_neurons"}
    assert own.keys() >= {("yes_no", "compliance"), ("known_facts", "accuracy")}
    assert all(own.values()), "all have controls"
    shown = (folder / "report.html").read_text(encoding="utf-8")
    assert 'class="absent"' not in shown
    assert "frequency, confidence" in shown
    card = json.loads((folder / "run_card.json").read_text())
    assert {name: origin["rows"] for name, origin in card["data"].items()} == {
        name: origin.rows for name, origin in results.data.items()
    }
    assert set(card["data"]) == {"file", "letters"}

    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "outputs" / "store").rglob("*") if file.is_file()}
    bits = (folder / "results.json").read_bytes()
    assert main(["run", *words]) == 0
    assert "(0 stages computed" in capsys.readouterr().out
    assert (folder / "results.json").read_bytes() == bits
    assert before == {file: file.stat().st_mtime_ns for file in before}

    assert main(["report", str(folder)]) == 0
    assert "report.html" in capsys.readouterr().out
    (folder / "results.json").write_bytes(bits.replace(b"0.5", b"0.6", 1))
    assert main(["report", str(folder)]) == 2
    assert "results.json is not what the run wrote" in capsys.readouterr().err
    (folder / "results.json").write_bytes(bits)


def test_every_checkpoint_reads_the_answers_of_the_finished_base_model(
    words: list[str],
    tmp_path: Path,
    tiny_checkpoint: Path,
    language_model: LanguageModel,
    base_model: LanguageModel,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A "checkpoint" that is the base model says what the base model says; one that is the chat model has no drift."""
    write_questions(tmp_path / "both.jsonl", language_model, "number", 70, base_model)
    sources = {"chat": tiny_checkpoint, "finished": base_model.source.locate()}
    part = "{_target_:hneuro.models.sources.HubCheckpoint,path:%s}"
    few = [
        *(word for word in words if "yes_no" not in word and "letters" not in word),
        "dataset.identification.path=both.jsonl",
        "stability.resamples=0",
        "sampling.samples=1",
        *(f"+model.checkpoints.{name}={part % path}" for name, path in sources.items()),
    ]
    assert main(["run", *few]) == 0, capsys.readouterr().err
    folder = run_folder(tmp_path)
    results = from_plain(Results, json.loads((folder / "results.json").read_text()))
    then = [row for row in results.rows if row.stage == "moments"]
    assert list(dict.fromkeys(row.stratum for row in then)) == ["chat", "finished"]
    assert [v.dataset for v in discrimination(Tidy(results), "origin") if v.random is not None] == ["file"]
    base = {(r.metric, r.dataset, r.condition): r for r in results.rows if r.stage == "origin"}
    assert base["auroc", "file", "base_probe"].n == base["auroc", "file", "h_neurons"].n
    for row in then:
        if row.stratum == "finished" and row.metric == "auroc_minus_base":
            assert row.value == 0.0
        elif row.stratum == "finished":
            same = base[row.metric, row.dataset, row.condition]
            assert (row.value, row.low, row.n) == pytest.approx((same.value, same.low, same.n), abs=1e-6, nan_ok=True)
        elif row.metric.startswith("drift_distance"):
            assert row.value == 0.0
    assert {row.metric for row in then} >= {"auroc", "auroc_minus_base", "drift_z", "drift_z_gate", "drift_rank"}
    shapes = [np.load(file).shape for file in (tmp_path / "outputs/store/columns").glob("*/*.npy")]
    assert len(shapes) == 2  # of both checkpoints
    assert all(neurons < 3 * 64 for _, neurons in shapes), "of a checkpoint only what is read is kept"
    assert all(n.base_weight is not None for n in results.neurons)
    shown = (folder / "report.html").read_text()
    for text in ("minus that on base", "base weight", "gate", "finished"):
        assert text in shown


def test_killed_again_and_again_it_goes_on_and_ends_with_the_same_bits(words: list[str], tmp_path: Path) -> None:
    """SIGKILL to a real process at growing times; what is done is not done twice (trap 84: resume)."""

    def start_in(where: str) -> BaseProcess:
        return start(tmp_path / where, "run", *words, "report=false")

    kills = 0
    for stage in ("responses", "contributions", "sweep-yes_no", "sweep-known_facts"):
        process = start_in("killed")
        store = tmp_path / "killed" / "outputs" / "store" / stage
        while process.exitcode is None and not list(store.glob("*")):
            time.sleep(0.01)
        if process.exitcode is None:
            process.kill()
            kills += 1
        process.join()
    assert kills >= 3
    state = json.loads(next((tmp_path / "killed").glob("outputs/hneuro/*/status.json")).read_text())
    assert state["state"] == "running"
    assert end(start_in("killed"), tmp_path / "killed")[0] == 0
    assert end(start_in("whole"), tmp_path / "whole")[0] == 0
    killed, whole = (run_folder(tmp_path / name) for name in ("killed", "whole"))
    assert (killed / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    assert not list((tmp_path / "killed" / "outputs" / "store").rglob("*.partial"))


def test_the_paper_s_choice_suppresses_every_point_of_the_path_in_one_job(words: list[str], tmp_path: Path) -> None:
    assert main(["run", *words, "choice=paper", "stability.resamples=0", "report=false"]) == 0
    results = from_plain(Results, json.loads((run_folder(tmp_path) / "results.json").read_text()))
    assert results.stability is None
    measured = [p for p in results.path if p.positive]
    assert all((p.suppressed_accuracy is None) == (p.positive == 0) for p in results.path)
    sums = {p.strength: p.accuracy + p.suppressed_accuracy for p in measured if p.suppressed_accuracy is not None}
    assert [p.strength for p in results.path if p.chosen] == [min(s for s in sums if sums[s] == max(sums.values()))]
    store, jobs = tmp_path / "outputs" / "store", {}
    read = {file.parent.name: file for file in store.glob("readings-known_facts/*/manifest.json")}
    for manifest in read.values():
        readings = [json.loads(line) for line in (manifest.parent / "records.jsonl").read_text().splitlines()]
        for file in store.glob("sweep-known_facts/*/records.jsonl"):
            answers = [json.loads(line) for line in file.read_text().splitlines()]
            if len(answers) == len(readings):
                jobs[answers[0]["neuron_set"]] = [a | r for a, r in zip(answers, readings, strict=True)]
    assert set(jobs) == {"path", "untouched"}
    # What the choice measured under suppression is what the sweep of the chosen neurons measures at alpha = 0.
    own = [a["outcome"] for a in jobs["untouched"] if a["neuron_set"] == "h_neurons" and a["alpha"] == 0.0]
    (chosen,) = [p for p in results.path if p.chosen]
    assert chosen.suppressed_accuracy == own.count("complies") / (len(own) - own.count("unparsed"))


def test_a_sweep_extracts_once(words: list[str], tmp_path: Path) -> None:
    def stored(stage: str) -> int:
        return len(list((tmp_path / "outputs" / "store" / stage).glob("*/manifest.json")))

    few = [*words, "stability.resamples=0", "report=false"]
    assert main(["run", *few]) == 0
    extracted = stored("contributions")
    assert main(["run", "-m", *few, "labeling=three_vs_one,one_vs_one"]) == 0
    assert len(list(tmp_path.glob("outputs/hneuro/*/results.json"))) == 2
    assert stored("contributions") == extracted
    assert stored("probe") == 2
    assert stored("detection") == 2
    assert stored("baselines") == 1


def test_a_set_too_large_for_memory_gives_the_same_from_one_file_for_all_labelings(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def selected(*more: str) -> tuple[list[tuple[int, int, float]], object]:
        # The first two have probes, and files, of their own.
        only = ("mechanism=none", "origin.base_probe=false", "intervention.swept=false", "report=false")
        assert main(["run", *words, "stability.resamples=2", "probe.tolerance=1e-7", *only, *more]) == 0
        newest = max(tmp_path.glob("*/hneuro/*/results.json"), key=lambda file: file.stat().st_mtime_ns)
        results = from_plain(Results, json.loads(newest.read_text()))
        assert results.stability is not None
        return [(n.layer, n.index, round(n.weight, 2)) for n in results.neurons], results.stability.neurons

    small = selected("output_dir=small", "store_dir=small/store")
    monkeypatch.setattr("hneuro.pipeline.stored.IN_MEMORY", 0)
    assert selected("output_dir=large", "store_dir=large/store") == small
    assert len(list((tmp_path / "large" / "store" / "features").glob("*/values.npy"))) == 1


@pytest.mark.usefixtures("offline_wandb")
def test_the_run_is_logged_to_an_offline_w_and_b(words: list[str], tmp_path: Path) -> None:
    few = ("model.base=null", "mechanism=none", "stability.resamples=0", "~dataset.evaluation.letters")
    assert main(["run", *words, *few, "tracker=wandb"]) == 0
    assert list(run_folder(tmp_path).glob("wandb/offline-run-*/run-*.wandb"))


@pytest.mark.usefixtures("organism")
def test_the_smoke_run_shows_the_method_on_the_organism(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trained model: every stage, and it detects."""
    assert main(["run", "experiment=smoke", "mechanism.min_per_class=10", "quiet=true", "report=false"]) == 0, (
        capsys.readouterr().err
    )
    (file,) = tmp_path.glob("outputs/smoke/*/results.json")
    results = from_plain(Results, json.loads(file.read_text()))
    own = {
        r.dataset: r.value
        for r in results.rows
        if (r.stage, r.metric, r.condition, r.stratum) == ("detection", "auroc", "h_neurons", "")
    }
    assert set(own) == {"people", "drugs", "fabricated_people", "fabricated_drugs"}
    assert own["people"] > 0.6
    assert {r.stage for r in results.rows} == {"detection", "calibration", "mechanism", "framing", "causal", "origin"}
    (calibrated,) = [
        r for r in results.rows if (r.stage, r.metric, r.condition) == ("calibration", "auroc", "h_neurons")
    ]
    (verdicts,) = [s for s in results.funnel if (s.stage, s.dataset) == ("verdicts", "people")]
    signals = {
        r.condition: r for r in results.rows if (r.stage, r.metric, r.dataset) == ("mechanism", "auroc", "people")
    }
    assert calibrated.n == verdicts.left > signals["h_neurons"].n, "none of the answers was balanced away"
    assert set(SIGNALS) <= set(signals)
    assert not any(isnan(r.value) for r in signals.values())
    assert signals["h_neurons"].value == own["people"]  # the same rows, the same detector
    assert signals["h_neurons"].n == signals["rarity"].n
