"""The whole method on multiple-choice questions, in both labeling modes, with a random tiny model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hneuro.cli import main
from hneuro.codec import from_plain
from hneuro.models.chat import Prompting
from hneuro.models.language_model import LanguageModel
from hneuro.questions.options import OptionLayout
from hneuro.records import Question
from hneuro.responses.letters import LetterSampler
from hneuro.result_records import Results

PARTS = Path(__file__).parent / "parts"
OPTIONS = ["north", "east", "south", "west"]
LETTERS = ["experiment=mcq", "model.name=tiny", "model.dtype=float32", "model.device=cpu", "quiet=true"]
SMALL = [
    "detection.control_seeds=2",
    "intervention.alphas=[0,1,2]",
    "intervention.control_seeds=1",
    "stability=none",
    "probe.C=[5,6,8]",
    "detection.controls=[random]",
    "intervention.controls=[random]",
    "report=false",
]


def write_questions(path: Path, model: LanguageModel, prefix: str, count: int) -> None:
    """Half of the questions have the predicted option as their gold answer. Three share each entity."""
    stems = [f"Where is {prefix} {n}?" for n in range(count)]
    asked = [
        Question(
            id=str(n),
            dataset=prefix,
            text=OptionLayout().text(stem, OPTIONS),
            answers=(),
            entity="",
            options=(*OPTIONS,),
        )
        for n, stem in enumerate(stems)
    ]
    with path.open("w", encoding="utf-8") as out:
        for n, response in enumerate(LetterSampler().sample(model, asked, 1, 0)):
            gold = "ABCD".index(response.text)
            row = {"id": f"{prefix}{n}", "question": stems[n], "choices": OPTIONS, "entity": f"{prefix}{n // 3}"}
            out.write(json.dumps(row | {"answer": gold if n % 2 else (gold + 1) % 4}) + "\n")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, language_model: LanguageModel) -> list[str]:
    folder = tmp_path_factory.mktemp("questions")
    spec = replace(language_model.spec, prompting=Prompting(suffix=""))  # as experiment=mcq asks
    model = LanguageModel(language_model.source, spec, completion=False)
    write_questions(folder / "near.jsonl", model, "near", 150)
    write_questions(folder / "far.jsonl", model, "far", 30)
    return [
        *LETTERS,
        *SMALL,
        f"model.chat.path={tiny_checkpoint}",
        f"dataset.identification.path={folder}/near.jsonl",
        "dataset.identification.options_columns=[choices]",
        "dataset.identification.answers_column=answer",
        "+dataset.evaluation.far={_target_:hneuro.questions.file.QuestionFile,"
        f"path:{folder}/far.jsonl,options_columns:[choices],answers_column:answer}}",
        "sampling.draws=1",
        "intervention.items=6",
        # The tiny tokenizer has no token for a letter with a blank before it.
        'model.prompting.completion="{question}\nAnswer:\n"',
    ]


@pytest.fixture(autouse=True)
def _parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(PARTS))
    monkeypatch.chdir(tmp_path)


def results_of(root: Path, labeling: str) -> Results:
    (found,) = root.glob(f"outputs/mcq/*{labeling}*/results.json")
    return from_plain(Results, json.loads(found.read_text()))


def test_both_modes_end_to_end(
    words: list[str], base_model: LanguageModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stored(stage: str) -> int:
        return len(list((tmp_path / "outputs" / "store" / stage).glob("*/manifest.json")))

    base = f"model.base={{_target_:hneuro.models.sources.HubCheckpoint,path:{base_model.source.locate()}}}"
    assert main(["run", *words, base, "+benchmark.yes_no={_target_:lab_parts.YesNo}"]) == 0, capsys.readouterr().err
    shared = {stage: stored(stage) for stage in ("responses", "verdicts", "contributions")}
    assert main(["run", *words, "labeling=mcq_non_contrastive"]) == 0, capsys.readouterr().err
    shared["contributions"] += 1  # of what calibration adds, at the tokens that this mode tests
    assert shared == {stage: stored(stage) for stage in shared}
    assert stored("detection") == 2
    assert stored("probe") == 3, "of both labelings, and of the base model's own answers"

    contrastive = results_of(tmp_path, "mcq-contrastive")
    foreseen = results_of(tmp_path, "mcq-non-contrastive")
    assert {row.stage for row in contrastive.rows} == {"detection", "mechanism", "causal", "origin"}
    assert "known_facts" in {row.dataset for row in contrastive.rows}
    for results, place in ((contrastive, "answer tokens"), (foreseen, "last prompt token")):
        assert {row.dataset for row in results.rows if row.stage == "detection"} == {"file", "far"}
        assert results.neurons
        assert results.facts["labeling"].endswith(f"CETT read at the {place}")
        for step in results.funnel:
            assert step.entered - step.left == sum(step.lost.values()), step
        parts = [s for s in results.funnel if s.stage in ("consistency", "verdicts")]
        assert all(step.entered % 3 == 0 for step in parts)  # an entity has three questions, and no split parts them
        disagreeing = [s.lost.get("draws disagree", 0) for s in parts if s.dataset in ("fit", "select")]
        assert len(disagreeing) == 2
        assert min(disagreeing) > 0
        for shown in results.responses:
            assert shown.question.splitlines()[1:5] == [f"{n}. {o}" for n, o in zip("ABCD", OPTIONS, strict=True)]
            assert shown.risks == (pytest.approx(shown.score, abs=1e-5),)  # of the position that is scored
    at_letter = {shown.question: shown.score for shown in contrastive.responses}
    assert all(at_letter[shown.question] != shown.score for shown in foreseen.responses)
