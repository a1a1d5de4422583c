"""Whole runs on responses that were not sampled here: by another engine elsewhere, or last month."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import lab_parts
import pytest
from published import converted

from hneuro.cli import main
from hneuro.codec import from_plain
from hneuro.models import load
from hneuro.models.language_model import LanguageModel
from hneuro.questions.recorded import read_recordings
from hneuro.records import Question
from hneuro.responses.decoding import Decoding
from hneuro.responses.recorded import NOT_ITS_TEXT
from hneuro.responses.sampler import TransformersSampler
from hneuro.result_records import Results
from hneuro.verdicts.rule import normal_words

SUFFIX = " Respond with the answer only, without any explanation."
SMALL = [
    "splits.by=entity",
    "model=hub",
    "model.name=tiny",
    "model.dtype=float32",
    "model.device=cpu",
    "dataset=file",
    "dataset.identification.path=questions.jsonl",
    "benchmark=none",
    "stability=none",
    "detection.control_seeds=2",
    "detection.controls=[random]",
    "intervention.alphas=[0,1,2]",
    "intervention.control_seeds=1",
    "intervention.controls=[random]",
    "intervention.known_questions=6",
    "quiet=true",
    "report=false",
]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def said_by(model: LanguageModel, count: int) -> dict[str, tuple[Question, str]]:
    """Questions with what the model says to them, greedily."""
    asked = [
        Question(id=f"number{n}", dataset="file", text=f"What is number {n}?", answers=(), entity=str(n))
        for n in range(count)
    ]
    sampler = TransformersSampler(samples=1, decoding=Decoding(temperature=0.0, max_new_tokens=6))
    said = zip(asked, sampler.sample(model, asked, 1, 0), strict=True)
    return {q.id: (q, r.text) for q, r in said if normal_words(r.text)}


def write_questions(rows: dict[str, tuple[str, list[str]]]) -> None:
    """questions.jsonl: id -> text and gold answers."""
    lines = ({"id": name, "question": text, "answers": gold} for name, (text, gold) in rows.items())
    Path("questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def stages(stage: str) -> dict[Path, int]:
    """The finished results of a stage, and when they were made."""
    return {file: file.stat().st_mtime_ns for file in Path("outputs/store", stage).glob("*/manifest.json")}


def results() -> Results:
    (found,) = Path("outputs/hneuro").glob("*/results.json")
    return from_plain(Results, json.loads(found.read_text(encoding="utf-8")))


def lost(found: Results, stage: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for step in found.funnel:
        assert step.entered - step.left == sum(step.lost.values()), step
        if step.stage == stage:
            for reason, count in step.lost.items():
                counts[reason] = counts.get(reason, 0) + count
    return counts


def test_sampled_by_an_engine_in_another_environment(
    tiny_checkpoint: Path,
    language_model: LanguageModel,
    base_model: LanguageModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only responses are made there, of all sets and both models; here, where there is no engine, the run goes on."""
    write_questions({str(n): (f"Where is number {n}?", ["Rome"]) for n in range(48)})
    words = [
        *SMALL,
        f"model.chat.path={tiny_checkpoint}",
        f"model.base={{_target_:hneuro.models.sources.HubCheckpoint,path:{base_model.source.locate()}}}",
        "sampling._target_=lab_parts.Engine",
        "sampling.samples=2",
        "sampling.decoding.temperature=0",
        "sampling.decoding.max_new_tokens=6",
    ]
    assert main(["run", *words, "until=responses"]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "Stopped after responses" in out
    assert "The same command without until=responses continues." in out
    made = stages("responses")
    assert len(made) == 7, "fit and select in rounds, the base model's fit, the report split by both, twice"
    stored = {folder.name for folder in Path("outputs/store").iterdir() if folder.is_dir()}
    assert stored == {"responses", "shapes", "verdicts"}, "what disagrees is not sampled further, so it is judged"
    (status,) = Path("outputs/hneuro").glob("*/status.json")
    said = json.loads(status.read_text())
    assert (said["state"], said["until"]) == ("done", "responses")
    assert (status.parent / "run_card-until-responses.json").exists()

    monkeypatch.setattr(lab_parts.Engine, "sample", lambda *_: pytest.fail("it is sampled again"))
    assert main(["run", *words, "until=verdicts"]) == 0, capsys.readouterr().err
    assert "verdicts on file (fit and select): " in capsys.readouterr().out
    assert main(["run", *words, "until=contributions"]) == 0, capsys.readouterr().err
    said_now = capsys.readouterr().out
    assert "contributions of " in said_now
    assert "answers to file (base model)" in said_now
    extracted = stages("contributions")
    assert len(extracted) == 5
    assert not stages("probe")
    assert main(["run", *words]) == 0, capsys.readouterr().err
    assert stages("responses") == made
    assert stages("contributions").items() >= extracted.items()
    assert len(stages("contributions")) == len(extracted) + 1, "of what calibration adds"
    found = results()
    assert {"h_neurons", "logprob", "length"} <= {row.condition for row in found.rows if row.stage == "detection"}
    entropy = [row for row in found.rows if row.condition == "entropy"]  # vLLM does not tell it
    assert [(row.stage, row.n, row.note) for row in entropy] == [("mechanism", 0, "not given by the sampler")]
    assert all(row.n > 0 for row in found.rows if (row.metric, row.condition) == ("auroc", "inconsistency"))
    assert len(found.neurons) > 0
    assert json.loads(status.read_text()).keys() == {"state", "seconds", "results", "config", "run_card"}
    assert Path(status.parent, "run_card.json").exists()


def test_an_engine_has_left_the_device_before_the_weights_come(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside: list[list[str]] = []
    find = load.find_ffn
    monkeypatch.setattr(load, "find_ffn", lambda model: (beside.append([*lab_parts.running]), find(model))[1])
    write_questions({str(n): (f"Where is number {n}?", ["Rome"]) for n in range(0, 24, 2)})
    words = [*SMALL, f"model.chat.path={tiny_checkpoint}", "sampling._target_=lab_parts.Engine", "sampling.samples=1"]
    assert main(["run", *words]) == 2  # it knows nothing
    assert len(stages("responses")) == 3
    assert beside == [[]]


def recorded(path: str, rows: dict[str, tuple[str, list[str]]]) -> None:
    lines = (
        {"question_id": name, "question": text + SUFFIX, "text": one}
        for name, (text, said) in rows.items()
        for one in said
    )
    Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_from_recorded_texts_to_a_report(
    tiny_checkpoint: Path, language_model: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tokens are derived from texts, those that cannot be are counted, and no baseline makes up what is unknown."""
    said = said_by(language_model, 60)
    write_questions({q.id: (q.text, [text if n % 2 else "else"]) for n, (q, text) in enumerate(said.values())})
    rows = {q.id: (q.text, [text.strip()] * 3) for q, text in said.values()}
    for name in list(rows)[:4]:
        rows[name][1][0] = "the <end> of it"
    recorded("said.jsonl", rows)
    words = [*SMALL, f"model.chat.path={tiny_checkpoint}", "sampling=recorded", "sampling.samples=3"]
    assert main(["run", *words, "sampling.paths=[said.jsonl]"]) == 0, capsys.readouterr().err
    found = results()
    unjudged = f"unjudged ({NOT_ITS_TEXT})"
    assert set(lost(found, "consistency")) <= {
        unjudged,
        *(f"so far always {kind}, and not needed" for kind in ("right", "wrong")),
    }
    assert set(lost(found, "verdicts")) <= {unjudged}
    assert lost(found, "consistency").get(unjudged, 0) + lost(found, "verdicts").get(unjudged, 0) == 4
    detectors = {row.condition for row in found.rows if row.stage == "detection"}
    assert {"h_neurons", "length"} <= detectors
    assert not detectors & {"logprob", "entropy"}
    assert found.neurons


def test_from_what_a_real_model_said_to_a_probe(
    recorded_data: Path, llama_on_text: Callable[[Path, list[str]], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """300 questions of TriviaQA with ten responses each, on a random model whose tokenizer knows the text."""
    converted(recorded_data / "gemma3_4b" / "triviaqa_consistency_samples.jsonl", Path("said.jsonl"), first=300)
    said = read_recordings("said.jsonl")
    put = {name: str(each[0].question) for name, each in said.items()}
    write_questions({name: (put[name].removesuffix(SUFFIX), list(each[0].answers)) for name, each in said.items()})
    corpus = [text for name, each in said.items() for text in (put[name], *(one.text for one in each))]
    model = llama_on_text(Path("model"), corpus)
    words = [*SMALL, f"model.chat.path={model}", "sampling=recorded", "sampling.paths=[said.jsonl]"]
    assert main(["run", *words]) == 0, capsys.readouterr().err
    found = results()
    assert not any(NOT_ITS_TEXT in reason for stage in ("consistency", "verdicts") for reason in lost(found, stage))
    judged = [step for step in found.funnel if step.stage == "consistency"]
    assert sum(step.entered for step in judged) == 225
    assert sum(step.left for step in judged) > 100
    assert found.neurons
